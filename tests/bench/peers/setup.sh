#!/bin/sh
# Installs what `make bench-peers` measures Answerback beside, into one folder (default: .bench): asyncssh and Celery in an
# environment of their own, never in .venv; and sshd and redis-server by the system's package manager where they are missing.
# Nothing is started, and no service that a package brings is enabled. As root it also makes a user with /bin/sh to log in as:
# what a login shell's own files cost is not OpenSSH's.
set -eu
folder=${1:-.bench}
python=${PYTHON:-python3}
user=answerback-bench
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

missing=
command -v sshd >/dev/null && command -v ssh >/dev/null || missing="openssh-server openssh-client"
command -v redis-server >/dev/null || missing="$missing redis-server"
if test -n "$missing"; then
  if test "$(id -u)" = 0 && command -v apt-get >/dev/null; then
    echo "installing by apt-get:$missing"
    policy=/usr/sbin/policy-rc.d
    made=
    if test ! -e $policy; then  # Debian's own way to say that nothing is started
      printf '#!/bin/sh\nexit 101\n' >$policy
      chmod 755 $policy
      made=1
    fi
    trap 'test -z "$made" || rm -f $policy' EXIT
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$folder/apt.log" 2>&1 || {
      apt-get update -q >>"$folder/apt.log" 2>&1
      # shellcheck disable=SC2086
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >>"$folder/apt.log" 2>&1
    } || { echo "apt-get could not: see $folder/apt.log" >&2; exit 1; }
  else
    echo "missing: $missing. Install them by your package manager, then run this again." >&2
    exit 1
  fi
fi

test -x "$folder/v/bin/python" || "$python" -m venv "$folder/v"
# packaging: kombu 5.7 imports it without naming it.
"$folder/v/bin/python" -m pip install --quiet --disable-pip-version-check \
  asyncssh==2.24.1 'celery[redis]==5.7.0' packaging
if test "$(id -u)" = 0 && ! id -u $user >/dev/null 2>&1; then
  echo "making the user $user (userdel $user takes it away again)"
  useradd --system --no-create-home --home-dir /tmp --shell /bin/sh $user
  usermod -p '*' $user  # no password, and not locked: keys only
fi
echo "installed in $folder; make bench-peers finds it there, or in \$ANSWERBACK_BENCH"
