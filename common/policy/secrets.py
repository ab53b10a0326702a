"""Where machines keep secrets, by name and by place: no path type lets them through unless it says `secrets = true`.

Names are compared without case and without what rotation, compression and editing put behind them, so that `btmp.1.gz`,
`site.KEY.bak` and `privkey.pem~` are what they are copies of. The list is of habits, not of programs: it grows with
what people call such files. It names what holds nothing else; a log in which a program prints a password cannot be told
here. Pure.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import Final

_NAMES_TEXT: Final = """
*id_rsa* *id_dsa* *id_ecdsa* *id_ed25519* ssh_host_* *.key key *[._-]key.pem key.pem key[0-9].pem *privkey*
*private*key* *.ppk *.p8 *.p12 *.pfx *.pkcs12 *.jks *.jceks *.keystore *.keytab *.kdb *.kdbx secring* *htpasswd*
*htdigest* *passwd.client* *.token vault-token .vault-token *.ovpn *.netdev *.nmconnection wg[0-9]*.conf
wpa_supplicant*.conf chap-* pap-* *secret* *credential* password password.* passwords* *[._-]passwords *_password*
*passphrase* *.env .env* environ *.tfstate *kubeconfig* service[-_]account*.json auth.conf *netrc *pgpass* .npmrc
.pypirc .my.cnf debian.cnf .git-credentials .dockercfg .authinfo .s3cfg .boto *_history .history btmp* cloud-init*
user-data* *.core core core.[0-9]*
"""
SECRET_NAMES: Final = tuple(_NAMES_TEXT.split())
"""Patterns of file names, in lower case, * for any characters: private keys, key stores and tables of passwords; what
virtual private networks keep; credentials of clouds, packages and databases; what people have typed, what machines in
the cloud were told, and the memory of crashed programs."""

_FOLDERS_TEXT: Final = """
private secrets credentials .ssh .gnupg .aws .azure .kube .docker .password-store ssl.key sudo-io system-connections
auth.conf.d
"""
SECRET_FOLDERS: Final = frozenset(_FOLDERS_TEXT.split())
"""Folders in which everything is one, wherever they lie."""

_PLACES_TEXT: Final = """
/root /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- /etc/sudoers /etc/sudoers.d /etc/security/opasswd
/etc/wireguard /etc/openvpn /etc/ipsec.d /etc/ppp /etc/kubernetes /etc/cloud /etc/letsencrypt/archive
/etc/letsencrypt/accounts /etc/letsencrypt/keys /var/lib/cloud /var/lib/kubelet /var/lib/systemd/coredump /var/crash
/var/spool/cron /var/spool/at /var/lib/answerback /var/lib/answerback-agent /run/secrets /run/credentials /run/user
/var/run/secrets /var/run/user /var/log/installer /var/log/anaconda /var/log/audit /var/log/private
/var/log/journal /run/log/journal
"""
SECRET_PLACES: Final = tuple(_PLACES_TEXT.split())
"""Folders and files of which everything is one, by their whole path."""

_PUBLIC_TEXT: Final = """
/etc/ssl/certs /etc/ssl/cert.pem /etc/pki/tls/certs /etc/pki/ca-trust /usr/share /usr/lib
/usr/local/share/ca-certificates /var/lib/ca-certificates
"""
PUBLIC_PLACES: Final = tuple(_PUBLIC_TEXT.split())
"""Where a file named .pem is a certificate. Elsewhere it may hold the key as well."""
_PUBLIC_NAMES: Final = frozenset(
    ("cert.pem", "chain.pem", "fullchain.pem", "ca.pem", "cacert.pem", "ca-bundle.pem", "dhparam.pem")
)
_COPY: Final = re.compile(
    r"(?:~|[.#](?:gz|xz|bz2|zst|lz4|lzo|zip|z|bak|backup|back|old|orig|save|sav|prev|new|copy|swp|swo|tmp|[0-9]{1,14}"
    r"|dpkg-[a-z]{1,8}|rpm(?:new|save|orig)|ucf-[a-z]{1,8})|[-_.][0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[-_t][0-9]{1,10})?)$"
)
_PATTERN: Final = re.compile("|".join(translate(pattern) for pattern in SECRET_NAMES))
_MAX_COPIES: Final = 8


@lru_cache(maxsize=4096)
def is_secret(path: str) -> bool:
    """Whether the normal absolute path is a known kind of secret or lies where they lie."""
    parts = path.lower().split("/")
    if any(path == place or path.startswith(f"{place}/") for place in SECRET_PLACES):
        return True
    if not SECRET_FOLDERS.isdisjoint(parts):
        return True
    name = _without_copy(parts[-1])
    if name.endswith(".pub"):
        return False
    return _PATTERN.fullmatch(name) is not None or (name.endswith(".pem") and not _is_certificate(path, name))


def _without_copy(name: str) -> str:
    """`site.key.1.gz` -> `site.key`; what an editor or a rotation puts behind a name, and an editor before it."""
    name = name.strip("#")
    for _ in range(_MAX_COPIES):
        shorter = _COPY.sub("", name)
        if shorter in (name, ""):
            break
        name = shorter
    return name


def _is_certificate(path: str, name: str) -> bool:
    return name in _PUBLIC_NAMES or any(path == place or path.startswith(f"{place}/") for place in PUBLIC_PLACES)
