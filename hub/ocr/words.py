"""Letters that look alike, put right where only one reading is a word. Pure.

A recogniser takes "O" for "0" in narrow faces: INF0, CrashLoopBack0ff, I/0. Names of machines, devices and versions mix
letters and digits in earnest (nvme0n1, web01), so nothing is guessed: a token changes only into a word of the list.
"""

from __future__ import annotations

import re
from typing import Final

# What logs, shells and dialogs say, as far as it holds letters that are taken for digits: o, i, l, s.
_WORDS: Final = frozenset(
    """
    about absolute access account acquire action active address admin administrator again alias aliases all alloc
    allocate allocated allocation allowed also application application's archive argument arguments assertion
    assigned attribute authentication authorization avail available backoff backup balance before bios block blocked
    blocks boot broken build bytes cancel cancelled cannot catalog certificate cgroup check checkout chmod chown
    class classic client clients clock clone close closed closing cluster code collection column command commands
    commit completed component config configuration conflict connect connected connection connections console
    container containers content control controller cookie copy core corrupt corrupted could cpu crash crashloopbackoff
    create credentials cron crontab daemon data database deadlock debug default delete deleted denied deploy deployed
    deployment description desktop details device directory disabled disconnected disk docker does domain done down
    download driver duplicate email enabled end entropy environment eof errno error errors evicted exception exceeded
    executable exists exit exited expired failed failover failure false fatal fault file files filesystem firewall
    folder for forbidden fork format found from full function gateway git github global group handler headers health
    help history home host hostname hosts http https ignored image imagepullbackoff images import inactive info
    information initialization input install installed installer instance insufficient integer interface internal
    invalid io ioerror iops iowait is isolation issue java job jobs journal journalctl json kernel kill killed killing
    known kubectl kubelet label last latency layer left library limit limits link linux list listen listening load
    loaded loading local localhost location lock locked log logged login logs long loop lost mail main memory message
    messages metadata method microsoft missing mode model module monitor monitoring more mount mounted mounting mysql
    mysqld name network nginx no node nodes none normal not notice notify null object of off offline ok old on online
    only oom oomkilled open opened operation operator option options or order os other out output overflow overload
    owner package packages panic parse partition password path pending permission permissions physical pid ping pipe
    please pod podman pods policy pool port position possible postgres postgresql premature primary prior priority
    privilege process processes processor production program progress project prometheus prompt protocol provided
    provider proxy pull push python query queue quit quota readonly reason reboot reconnect record recovery redis
    refused region registry reload remote remove repository request requests required reset resolve resolution resource
    resources respond responding response restart restarting restarts restore result retries retry revoked role
    rollback root rotate route router rows ruby rule run running runtime safe schedule scheduler script search second
    seconds section security select self send server servers service services session set setting settings shell
    should shutdown signal size sleep slave slot slots slow socket sockets sorry source space sql ssh ssl stack stale
    standby start started starting startup state static status stderr stdin stdout stop stopped stopping storage store
    stream string sudo support swap switch symbol sync syslog system systemctl systemd table task terminal terminated
    time timeout to token tool too top total traceback traffic transaction transport true trust type unable unauthorized
    unavailable undefined unexpected unhealthy unit unknown unlock unreachable until update upgrade upload upstream url
    usage use user users using validation value values version violation virtual volume volumes waiting warning was
    website windows with work worker workers write writing wrong you your zone
    """.split()  # noqa: SIM905  a list of four hundred strings is not read by anyone
)
_TOKEN: Final = re.compile(
    r"(?<![A-Za-z0-9_])(?=[A-Za-z0-9]*[A-Za-z])(?=[A-Za-z0-9]*[015])[A-Za-z0-9]{3,24}(?![A-Za-z0-9_])"
)
_INPUT_OUTPUT: Final = re.compile(r"(?<![A-Za-z0-9_./])[I1l]/[0O](?![A-Za-z0-9_./])")
_COLON: Final = re.compile(r"(?<=[A-Za-z0-9_'\")\]])：[ ]?(?=[^ ])")
_LIST: Final = re.compile(r"^1s(?=:)|(?<=[$#] )1s(?= |$)")
_CURLY: Final = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"'})


def mended(line: str) -> str:
    """The line with look-alikes put right where that makes a word, and quotes and colons as their neighbours are."""
    line = _INPUT_OUTPUT.sub("I/O", line)
    line = _LIST.sub("ls", line)  # a shell's own words, and the command most typed
    line = _TOKEN.sub(lambda match: _word(match[0]), line)
    line = _COLON.sub(": ", line)  # after Latin text a colon is Latin; the model prefers the wide one
    if _unpaired(line, "‘", "’") or _unpaired(line, "“", "”"):
        line = line.translate(_CURLY)
    return line


def _word(token: str) -> str:
    """The token as a word of the list, its mended letters in the case of the others; else as it is."""
    if sum(char.isdigit() for char in token) * 2 > len(token):
        return token  # more digits than letters: a number with a unit, a version
    if token.rstrip("0123456789").lower() in _WORDS:
        return token  # a numbered one: node5 is no "nodes"
    for one in "li":
        letters = [{"0": "o", "1": one, "5": "s"}.get(char, char) for char in token]
        if "".join(letters).lower() in _WORDS:
            return "".join(
                new.upper() if new != old and _capital(token, index) else new
                for index, (old, new) in enumerate(zip(token, letters, strict=True))
            )
    return token


def _capital(token: str, index: int) -> bool:
    """Whether the letter here is a capital: among capitals, at the beginning where only a capital is as high as the
    digit, and where a word in camel case has a hump.
    """
    letters = [char for char in token if char.isalpha()]
    if all(char.isupper() for char in letters):
        return True
    if index == 0:
        return token[0] != "1"
    return token[index - 1].islower() and any(char.isupper() for char in token[1:])


def _unpaired(line: str, opening: str, closing: str) -> bool:
    return line.count(opening) != line.count(closing)
