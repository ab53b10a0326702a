"""agent.runner.mounts"""

from __future__ import annotations

from pathlib import Path

from agent.runner.mounts import SlowMounts, read_slow_places

TABLE = b"""\
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /mnt/nfs rw shared:2 - nfs4 files:/x rw,addr=10.0.0.1
31 22 0:26 / /home/bob/with\\040blank rw,nosuid - fuse.sshfs bob@x: rw,user_id=1000
32 22 0:27 /sub /srv rw - xfs /dev/x rw
33 22 0:28 / /auto rw master:1 master:2 - autofs systemd-1 rw
34 22 0:29 / /dos rw - fuseblk /dev/y rw
35 22 0:30 / /odd rw - fusectl fusectl rw
"""


def test_file_systems_that_ask_elsewhere_are_known_by_their_kind() -> None:
    """Network and user-space ones, with the blanks in their places; lines of another form are passed over."""
    assert read_slow_places(TABLE + b"short\n\n- nfs\n") == {"/mnt/nfs", "/home/bob/with blank", "/auto", "/dos"}


def test_a_place_is_one_where_such_a_file_system_begins(tmp_path: Path) -> None:
    """Where there is no table nothing is known."""
    table = tmp_path / "mountinfo"
    table.write_bytes(TABLE)
    mounts = SlowMounts(str(tmp_path / "none"))
    assert "/mnt/nfs" not in mounts
    mounts.close()
    mounts = SlowMounts()
    assert "/proc" not in mounts
    assert "/proc" not in mounts
    mounts.close()
