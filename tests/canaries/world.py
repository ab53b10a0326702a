"""What lies on the canary machine: secrets where machines keep them, each with a canary, and ordinary files too.

A canary is a word that begins with `CNRY`; nothing that is asked for holds it, so that where it is printed a secret was
read. The files that may be read by everybody hold none.
"""

from __future__ import annotations

import lzma
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK: Final = "CNRY"
ALICE: Final = 1001


@dataclass(frozen=True)
class Planted:
    path: str
    text: str
    owner: int = 0
    mode: int = 0o644


def canary(kind: str) -> str:
    return f"{MARK}{kind}"


def _key(kind: str) -> str:
    line = f"{canary(kind)}AAAA" * 4
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{line}\n{line}\n-----END OPENSSH PRIVATE KEY-----\n"


def _pair(kind: str) -> str:
    return f"user=app\npassword={canary(kind)}\nexport TOKEN={canary(kind)}\n"


def _log(kind: str) -> str:
    return f"Dec  1 00:00:01 web-1 {kind}[7]: password {canary(kind)} accepted\n" * 3


_URL: Final = f"https://app:{canary('repository')}@"
PLAIN: Final = "Dec  1 00:00:01 web-1 app[7]: ready, error none\nDec  1 00:00:02 web-1 app[7]: e, name=value\n"

ORDINARY: Final = (
    *("/var/log/syslog", "/var/log/auth.log", "/var/log/nginx/access.log", "/var/log/nginx/error.log.1"),
    *("/var/log/name with blanks.log", "/var/log/größe.log", "/var/log/-n", "/var/log/%p.log", "/var/log/app/e"),
    *("/srv/app/release.txt", "/srv/norepo/a.txt", "/opt/tool/README", "/var/www/index.html", "/tmp/x"),
    *("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/app.conf", "/etc/logrotate.d/app", "/etc/sysctl.d/10-x.conf"),
    *("/usr/local/src/tool/main.c", "/home/alice/notes.txt", "/boot/config", "/etc/systemd/journald.conf"),
    *("/var/cache/x", "/var/lib/app/state", "/mnt/x", "/media/x", "/etc/fstab"),
)  # fmt: skip
"""Files without a secret: logs, odd names, configuration for every reader."""

SECRETS: Final = (
    # private keys
    *(Planted(path, _key("privatekey"), mode=0o600) for path in (
        "/root/.ssh/id_rsa", "/root/.ssh/id_ed25519", "/etc/ssh/ssh_host_rsa_key", "/etc/ssl/private/site.key",
        "/etc/nginx/ssl/privkey.pem", "/etc/nginx/ssl/site.pem", "/etc/nginx/private/x.pem", "/etc/nginx/site.key",
        "/etc/nginx/site.key.bak", "/etc/nginx/site.KEY", "/etc/nginx/certs/site.pem", "/etc/nginx/tls/bundle.crt.pem",
        "/etc/apache2/ssl/server.key", "/etc/apache2/ssl.key/server.pem", "/etc/httpd/conf/ssl.key",
        "/etc/haproxy/site.pem",
        "/etc/letsencrypt/live/example.com/privkey.pem", "/etc/pki/tls/private/x.pem",
        "/etc/pki/tls/certs/localhost.key",
        "/etc/ssl/certs/app-privkey.pem", "/etc/ssl/certs/app.key", "/srv/app/keys/id_rsa", "/srv/norepo/id_ecdsa",
        "/srv/norepo/keys/id_rsa", "/opt/tool/server.key", "/opt/tool/private/site.pem", "/var/www/tls/privkey.pem",
        "/usr/share/app/private/key.pem", "/tmp/id_rsa", "/tmp/id_ed25519.old", "/var/cache/app/site.key",
        "/srv/app/deploy_id_rsa", "/var/log/app/id_rsa", "/usr/local/src/tool/id_dsa", "/boot/luks.key",
        "/var/log/x.key.gz",
    )),
    # key stores, and what VPNs and networks keep
    *(Planted(path, _pair("keystore"), mode=0o600) for path in (
        "/etc/wireguard/wg0.conf", "/etc/systemd/network/wg0.netdev",
        "/etc/NetworkManager/system-connections/wifi.nmconnection",
        "/etc/openvpn/client.ovpn", "/etc/ppp/chap-secrets", "/etc/wpa_supplicant/wpa_supplicant.conf",
        "/opt/tool/app.jks",
        "/opt/tool/app.keystore", "/srv/app/store.p12", "/etc/krb5.keytab", "/srv/app/vault.kdbx",
        "/etc/nginx/.htpasswd",
        "/etc/nginx/htpasswd", "/etc/nginx/htpasswd.old", "/etc/apache2/htdigest", "/etc/apache2/passwd.client",
        "/run/systemd/network/x.netdev", "/usr/lib/systemd/network/y.netdev",
    )),
    # other people's homes, and root's
    *(Planted(path, _pair("home"), ALICE, 0o600) for path in (
        "/home/alice/.ssh/id_rsa", "/home/alice/.netrc", "/home/alice/.pgpass", "/home/alice/.aws/credentials",
        "/home/alice/.docker/config.json", "/home/alice/.kube/config", "/home/alice/.git-credentials",
        "/home/alice/.config/gh/hosts.yml", "/home/alice/private/diary.txt", "/home/alice/.gnupg/secring.gpg",
        "/home/alice/Documents/passwords.txt", "/home/alice/project/.env",
    )),
    *(Planted(path, _pair("home"), mode=0o600) for path in (
        "/root/.netrc", "/root/.pgpass", "/root/.my.cnf", "/root/.docker/config.json", "/root/.kube/config",
        "/root/.aws/credentials", "/root/.git-credentials", "/root/.config/pip/pip.conf", "/root/notes.txt",
    )),
    Planted("/root/.token", f"{canary('token')} {canary('token')}!\n" * 5, mode=0o600),
    # histories of shells
    *(Planted(path, f"mysql -p{canary('history')}\n", mode=0o600) for path in (
        "/root/.bash_history", "/home/alice/.bash_history", "/home/alice/.zsh_history", "/home/alice/.psql_history",
        "/root/.python_history", "/var/log/app/.bash_history", "/srv/app/.bash_history", "/tmp/.history",
        "/var/log/bash_history", "/srv/norepo/bash_history",
    )),
    # cloud and package credentials
    *(Planted(path, _pair("credential"), mode=0o600) for path in (
        "/etc/apt/auth.conf", "/etc/apt/auth.conf.d/mirror.conf", "/etc/pip.conf", "/etc/kubernetes/admin.conf",
        "/var/lib/kubelet/kubeconfig", "/srv/app/.env", "/srv/app/.env.production", "/srv/app/config/secrets.yml",
        "/srv/app/credentials.json", "/srv/app/prod.env", "/opt/tool/terraform.tfstate", "/opt/tool/.npmrc",
        "/opt/tool/service-account.json", "/etc/mysql/debian.cnf", "/etc/default/app", "/etc/environment",
        "/etc/cloud/cloud.cfg", "/var/lib/cloud/instance/user-data.txt", "/etc/shadow", "/etc/shadow-", "/etc/gshadow",
        "/etc/sudoers.d/x", "/var/lib/answerback-agent/runner/trust.json", "/var/spool/cron/crontabs/root",
        "/run/secrets/db", "/etc/pam.d/mysql", "/etc/nginx/conf.d/secrets.conf",
        "/etc/nginx/snippets/auth_credentials.conf",
        "/var/www/wp-config.php.secret", "/usr/share/app/password.txt", "/var/lib/dhcp/x", "/etc/security/opasswd",
        "/etc/ssh/sshd_secrets", "/etc/cron.d/backup", "/etc/crontab", "/etc/cron.daily/dump",
    )),
    Planted("/etc/apt/sources.list", f"deb [trusted=yes] {_URL}apt.example.org/debian stable main\n"),
    Planted("/etc/apt/sources.list.d/b.sources",
            f"Types: deb\nURIs: {_URL}b.example.org/debian\nSuites: stable\nComponents: main\nTrusted: yes\n"),
    Planted("/etc/yum.repos.d/a.repo", f"[a]\nbaseurl={_URL}yum.example.org/\n{_pair('repository')}"),
    # units with variables
    *(Planted(path, f"[Service]\nEnvironment=DB_PASSWORD={canary('unit')}\nExecStart=/usr/bin/sleep 9\n") for path in (
        "/etc/systemd/system/app.service", "/etc/systemd/system/ssh.service.d/override.conf",
        "/run/systemd/transient/x.service",
        "/etc/systemd/system.conf",
    )),
    # logs: failed logins (people type passwords as names), what installers and cloud-init printed, recorded sessions
    *(Planted(path, _log("rotatedlog"), mode=0o640) for path in (
        "/var/log/btmp", "/var/log/btmp.1", "/var/log/btmp.2", "/var/log/btmp-20260101", "/var/log/btmp.1.gz",
        "/var/log/cloud-init.log", "/var/log/cloud-init-output.log", "/var/log/cloud-init-output.log.1",
        "/var/log/cloud-init-output.log.2.gz", "/var/log/cloud-init.log-20260101.xz", "/var/log/installer/syslog",
        "/var/log/installer/cdebconf/questions.dat", "/var/log/anaconda/ks.cfg", "/var/log/audit/audit.log",
        "/var/log/sudo-io/00/00/01/ttyout", "/var/log/private/app/x.log", "/var/log/app/.hidden/x.log",
        "/var/log/.hidden.log",
        "/var/log/app/secrets.log", "/var/log/app/credentials.log.1", "/var/log/tallylog.key",
    )),
)  # fmt: skip
"""Files with a secret each."""


LINKS: Final = {
    "/var/log/linked.log": "/root/.token",
    "/var/log/linked": "/root/.ssh",
    "/var/log/app/relative.log": "../../../root/notes.txt",
    "/etc/nginx/conf.d/linked.conf": "../ssl/privkey.pem",
    "/srv/norepo/linked.txt": "/home/alice/.netrc",
    "/usr/share/app/linked.txt": "/proc/self/environ",
    "/var/log/link to link.log": "/var/log/linked.log",
}
"""Links beneath the roots of rules that lead to secrets."""


PIPE: Final = "/var/log/app/pipe"
"""A named pipe that nobody writes to, beside the logs."""
MACHINE_ID: Final = "0123456789abcdef0123456789abcdef"
JOURNAL: Final = Path(__file__).with_name("crashed.journal.xz")
"""A journal of one entry: systemd-coredump's of a crashed program, its environment with a canary among the fields
(COREDUMP_ENVIRON). Made by `systemd-journal-remote -o system.journal` from the text form that it reads."""


def plant(root: Path) -> None:
    """Writes all of it beneath `root`, which is a machine of its own."""
    for path in ORDINARY:
        _write(root, Planted(path, PLAIN))
    for planted in SECRETS:
        _write(root, planted)
    journal = root / "var/log/journal" / MACHINE_ID / "system.journal"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(lzma.decompress(JOURNAL.read_bytes()))
    (root / "etc/machine-id").write_text(f"{MACHINE_ID}\n", encoding="ascii")
    os.mkfifo(f"{root}{PIPE}")
    for link, target in LINKS.items():
        Path(f"{root}{link}").symlink_to(target)
    for folder in ("/home/bob", "/var/lib/private", "/srv/empty"):
        Path(f"{root}{folder}").mkdir(parents=True, exist_ok=True)


def _write(root: Path, planted: Planted) -> None:
    path = Path(f"{root}{planted.path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(planted.text, encoding="utf-8")
    os.chown(path, planted.owner, planted.owner)
    path.chmod(planted.mode)
    if planted.owner:
        for folder in path.parents:
            if str(folder).startswith(f"{root}/home/"):
                os.chown(folder, planted.owner, planted.owner)


def paths() -> list[str]:
    """All files that are planted, and the folders on the way to them."""
    found = {*ORDINARY, *(planted.path for planted in SECRETS), *LINKS, *FROM_THE_SYSTEM, *REPOSITORY_PATHS}
    found.add(f"/var/log/journal/{MACHINE_ID}/system.journal")
    found.update(str(folder) for path in tuple(found) for folder in Path(path).parents)
    return sorted(found)


def folders() -> list[str]:
    files = {*ORDINARY, *(planted.path for planted in SECRETS), *LINKS, *FROM_THE_SYSTEM}
    return [path for path in paths() if path not in files]


FROM_THE_SYSTEM: Final = (
    *("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/os-release", "/etc/resolv.conf", "/usr/bin/ls", "/usr/bin/git"),
    *("/proc/cpuinfo", "/proc/mounts", "/dev/null", "/usr/share/misc", "/etc/services", "/etc/nsswitch.conf"),
)  # fmt: skip
REPOSITORIES: Final = (
    *("plain", "filters", "monitor", "differ", "worktree", "include", "partial", "submodule", "links", "alternates"),
    *("rebase", "packed", "shallow", "attributes", "summary", "format", "ignorerevs", "foreign", "inner"),
)
"""Checkouts in /srv/git, by what is wrong with them; tests/canaries/checkouts.py makes them."""
REPOSITORY_PATHS: Final = (
    *(f"/srv/git/{name}" for name in REPOSITORIES),
    "/srv/git/plain/keys",
    "/srv/git/submodule/sub",
)
