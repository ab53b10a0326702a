"""Secrets by name and place: what people and programs call them, also renamed; and what only looks like one."""

from __future__ import annotations

import time

from common.policy.secrets import SECRET_NAMES, is_secret
from tests.each import each_of

_SECRETS = """
/etc/nginx/ssl/privkey.pem /etc/nginx/site.key /etc/nginx/SITE.KEY /etc/nginx/site.key.bak /srv/site.key~
/srv/#site.key# /srv/site.key.1.gz /srv/site.key-20260101 /srv/site.key.2026-01-01.xz /srv/site.key.old.zip
/etc/haproxy/site.pem /etc/nginx/ssl/bundle.crt.pem /etc/letsencrypt/live/x/privkey.pem
/etc/letsencrypt/archive/x/privkey1.pem /srv/deploy_id_rsa /srv/id_ed25519.old /etc/ssh/ssh_host_rsa_key
/srv/app-key.pem /usr/share/x/key.pem /opt/a.p12 /opt/a.pfx /opt/a.jks /opt/a.keystore /opt/krb5.keytab /opt/a.kdbx
/etc/nginx/.htpasswd /etc/nginx/htpasswd.old /etc/systemd/network/wg0.netdev /etc/wireguard/wg0.conf /srv/wg1.conf
/etc/openvpn/client.ovpn /etc/x/home.nmconnection /srv/prod.env /srv/.env /srv/.env.production
/srv/config/secrets.yml /srv/credentials.json /srv/db_password.txt /srv/service-account.json /srv/terraform.tfstate
/srv/.npmrc /root/x /root /home/a/.ssh/config /home/a/.aws/config /etc/apt/auth.conf /etc/apt/auth.conf.d/x
/etc/shadow /etc/shadow- /etc/gshadow /etc/sudoers.d/x /etc/kubernetes/admin.conf /var/log/btmp /var/log/btmp.1
/var/log/btmp-20260101 /var/log/btmp.2.gz /var/log/cloud-init-output.log.1 /var/log/cloud-init.log-20260101.xz
/var/log/installer/syslog /var/log/journal/0a/system.journal
/var/log/sudo-io/00/00/01/ttyout /var/log/audit/audit.log /srv/private/x /run/secrets/db
/run/user/0/x /var/spool/cron/crontabs/root /home/a/.bash_history /srv/bash_history /proc/1/environ /var/crash/x
/srv/core.1234 /var/lib/systemd/coredump/core.x /var/lib/answerback-agent/runner/trust.json
"""
SECRETS = _SECRETS.split()

_ORDINARY = """
/var/log/syslog /var/log/auth.log.1 /var/log/nginx/access.log.2.gz /etc/nginx/nginx.conf /etc/nginx/conf.d/app.conf
/etc/passwd /etc/ssl/certs/ca.pem /etc/ssl/certs/ISRG_Root_X1.pem /etc/pki/tls/certs/ca-bundle.crt
/etc/letsencrypt/live/x/fullchain.pem /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/X11/xkb/keymap
/usr/share/doc/keyutils /srv/app/monkey.txt /etc/ssh/sshd_config /etc/pam.d/common-password /var/log/btrfs.log
/srv/app/environment.md /srv/keys.md /srv/app/id_rsa.pub /usr/lib/systemd/system/ssh.service /proc/cpuinfo
/proc/meminfo /var/log/history.log /srv/corel.txt /rootfs/x
"""
ORDINARY = _ORDINARY.split()


@each_of("path", SECRETS)
def test_b8_a_secret_is_known_by_its_name_or_place(path: str) -> None:
    """Trust: secrets by pattern and place; rotation, compression, copies and case make no difference (B8)."""
    assert is_secret(path)


@each_of("path", ORDINARY)
def test_an_ordinary_file_is_none(path: str) -> None:
    """Certificates, public keys, logs and names that only sound alike stay open."""
    assert not is_secret(path)


def test_patterns_are_in_lower_case_and_quick() -> None:
    """Names are compared in lower case; a name of any length is told within a moment."""
    assert all(pattern == pattern.lower() for pattern in SECRET_NAMES)
    begun = time.perf_counter()
    for name in ("a" * 4_000, "secre" * 800, ".bak" * 1_000, "key." * 1_000, "~" * 4_000):
        is_secret(f"/srv/{name}")
    assert time.perf_counter() - begun < 1
