"""What the environment says of this installation: each variable is read here, and all wrong values are reported at once."""

import shutil
from pathlib import Path
from typing import Any

from mailops.lib import env as parse
from mailops.lib.env import Environment
from mailops.lib.installation_keys import KEY_NAMES, kept_keys
from mailops.lib.postgres import socket_folder
from mailops.lib.time_zones import zone_name

BASE_DIR = Path(__file__).resolve().parents[2]

env = Environment()

# --- Where it lives, and what it is called ---------------------------------------------------

MAILOPS_HOME = env.read(
    "MAILOPS_HOME", parse.folder, BASE_DIR / ".mailops", fix="give a folder that you may write to"
)
MAILOPS_PORT = env.read("PORT", parse.port_number, 8000, fix="give a free port, such as 8000")
MAILOPS_BIND = env.read(
    "MAILOPS_BIND", parse.listener, f"127.0.0.1:{MAILOPS_PORT}", fix="give host:port for the pages"
)
# how many proxies of ours a request comes through, each of which adds to X-Forwarded-For whom it saw
MAILOPS_TRUSTED_PROXIES = env.read(
    "MAILOPS_TRUSTED_PROXIES",
    parse.proxies,
    0,
    fix="give how many proxies of yours a request comes through, 0 to 9",
)
# `make up` runs everything, in one log that dates the lines of all processes alike.
MAILOPS_IS_SUPERVISED = env.has("MAILOPS_SUPERVISED")
# The embedded installation: our own PostgreSQL, keys made once, a demo to look at.
MAILOPS_IS_EMBEDDED = not env.has("DATABASE_URL")
MAILOPS_POSTGRES_BIN: Path | None = env.read(
    "MAILOPS_POSTGRES_BIN",
    parse.folder_with("initdb", "postgres"),
    None,
    fix="give the folder of initdb and postgres, or leave it out",
)
MAILOPS_DEMO = env.read("MAILOPS_DEMO", parse.flag, MAILOPS_IS_EMBEDDED, fix="set it to 1 or 0")


def _beside(offset: int) -> str:
    """Return a loopback listener whose port follows PORT, so that two installations don't meet."""
    port = MAILOPS_PORT + offset
    return f"127.0.0.1:{port if port < 65536 else port - 30000}"


MAILOPS_BASE_URL = env.read(
    "MAILOPS_BASE_URL",
    parse.base_url,
    f"http://127.0.0.1:{MAILOPS_PORT}",
    fix="give the public https address; unsubscribe links and webhooks begin with it",
)
MAILOPS_TRACKING_URL = env.read(
    "MAILOPS_TRACKING_URL",
    parse.base_url,
    MAILOPS_BASE_URL,
    fix="give the public https address that links in tracked mail begin with, or leave it out for MAILOPS_BASE_URL",
)
further_hosts: list[str] = env.read(
    "MAILOPS_ALLOWED_HOSTS",
    parse.allowed_hosts,
    [],
    fix="give host,… such as pages.example.com, without https:// and port",
)
MAILOPS_RETURN_PATH_HOST = env.read(
    "MAILOPS_RETURN_PATH_HOST",
    parse.host_name,
    "bounces.acme.example" if MAILOPS_DEMO else "bounces.mailops.localhost",
    fix="give the host whose MX points at the feedback listener, such as bounces.example.com",
)
MAILOPS_SANDBOX_LISTENER = env.read(
    "MAILOPS_SANDBOX_LISTENER", parse.listener, _beside(1000), fix="give host:port"
)
MAILOPS_FEEDBACK_LISTENER = env.read(
    "MAILOPS_FEEDBACK_LISTENER", parse.listener, _beside(2000), fix="give host:port"
)
MAILOPS_DEMO_NAMESERVER = _beside(3000)
MAILOPS_NAMESERVERS: list[str] = env.read(
    "MAILOPS_NAMESERVERS",
    parse.listeners,
    [MAILOPS_DEMO_NAMESERVER] if MAILOPS_DEMO else [],
    fix="give host:port,…, or leave it out to ask the system's",
)
# lists of spam senders that are asked about sending addresses and about sender domains
MAILOPS_ADDRESS_DNSBLS: list[str] = env.read(
    "MAILOPS_ADDRESS_DNSBLS",
    parse.host_names,
    ["zen.spamhaus.org", "bl.spamcop.net"],
    fix="give the zones of lists, such as zen.spamhaus.org, or the word none",
)
MAILOPS_DOMAIN_DNSBLS: list[str] = env.read(
    "MAILOPS_DOMAIN_DNSBLS",
    parse.host_names,
    ["dbl.spamhaus.org"],
    fix="give the zones of lists, such as dbl.spamhaus.org, or the word none",
)
# the keys of the root that DNSSEC begins with (RFC 9718): those of 2017 and of 2024
MAILOPS_TRUST_ANCHORS: list[str] = env.read(
    "MAILOPS_TRUST_ANCHORS",
    parse.trust_anchors,
    [
        ". 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
        ". 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
    ],
    fix="give “zone tag algorithm type digest”, several with commas between them, or the word none",
)
# what runs here, for the charts; empty: git's commit, where this is a checkout
MAILOPS_REVISION: str = env.read("MAILOPS_REVISION", str, "", fix="give a tag or a commit")
# where hours are given without a place: of recipients whose time zone is unknown
MAILOPS_TIME_ZONE: str = env.read(
    "MAILOPS_TIME_ZONE",
    zone_name,
    "UTC",
    fix="",  # the complaint says it
)
# later than this nobody expects a scheduled campaign any more: it waits for a person, as after a weekend's outage
MAILOPS_STALE_SCHEDULE_MINUTES: int = env.read(
    "MAILOPS_STALE_SCHEDULE_MINUTES", parse.minutes, 120, fix="give minutes, 15 or more"
)
MAILOPS_TRUSTED_RELAYS: frozenset[tuple[str, int]] = env.read(
    "MAILOPS_TRUSTED_RELAYS",
    parse.host_port_pairs,
    frozenset(),
    fix="give host:port,… for servers that may be spoken to without TLS and inside private ranges",
)
# our own, and nobody can listen in on this machine
if MAILOPS_DEMO or parse.is_loopback(MAILOPS_SANDBOX_LISTENER):
    MAILOPS_TRUSTED_RELAYS |= {parse.host_and_port(MAILOPS_SANDBOX_LISTENER)}
# messages kept in each test inbox, the newest; enough for a demo campaign twice over, about 15 MB
MAILOPS_SANDBOX_KEEP = 5000
# days the account of an imported suppression list is kept: a quarter, in which somebody may ask after a row
MAILOPS_SUPPRESSION_IMPORT_DAYS = 90
# days feedback is kept as it came: as long as somebody may ask why an address was suppressed, or replay it
MAILOPS_RAW_FEEDBACK_DAYS = env.read(
    "MAILOPS_RAW_FEEDBACK_DAYS", parse.days, 90, fix="give days, 1 or more"
)
# days that calls of pictures and links in mail are kept as they came: to see why one was taken for a machine's
MAILOPS_HIT_DAYS = env.read("MAILOPS_HIT_DAYS", parse.days, 7, fix="give days, 1 or more")
# days it is known who looked at which mail; older mail is not looked after any more, and only counts stay
MAILOPS_LOOK_DAYS = env.read("MAILOPS_LOOK_DAYS", parse.days, 92, fix="give days, 1 or more")
# days in which counts may still change and be counted anew: a quarter, since hardly a report comes later; then they are sealed
MAILOPS_COUNT_DAYS = env.read("MAILOPS_COUNT_DAYS", parse.days, 92, fix="give days, 1 or more")
# who reads your mail with what, in percent; what a finding says it touches
_client_shares: dict[str, float] = {
    "apple_mail": 48,
    "gmail": 30,
    "outlook_windows": 4,
    "outlook_mac": 1,
    "outlook_web": 2,
    "outlook_new": 2,
    "yahoo": 5,
    "samsung": 2,
}
MAILOPS_CLIENT_SHARES: dict[str, float] = env.read(
    "MAILOPS_CLIENT_SHARES",
    parse.shares_of(*_client_shares),
    _client_shares,
    fix="give client=percent,… such as gmail=40,apple_mail=30, together 100 at most",
)
# draws pictures of mails, light and dark; empty: none are drawn
MAILOPS_CHROMIUM = env.read(
    "MAILOPS_CHROMIUM",
    parse.program,
    shutil.which("chromium") or "",
    fix="give the path of Chromium, or leave it out",
)
# spam filters, asked what they think of a mail; empty: not asked. They speak no TLS and mostly stand beside us.
MAILOPS_SPAMD = env.read("MAILOPS_SPAMD", parse.listener, "", fix="give host:port of spamd")
MAILOPS_RSPAMD = env.read(
    "MAILOPS_RSPAMD", parse.listener, "", fix="give host:port of rspamd's normal worker"
)
MAILOPS_TRUSTED_RELAYS |= {
    parse.host_and_port(each) for each in (MAILOPS_SPAMD, MAILOPS_RSPAMD) if each
}
# whether the pages that a mail links to are asked for, before it is published; never those of one recipient
MAILOPS_FETCH_LINKS = env.read("MAILOPS_FETCH_LINKS", parse.flag, False, fix="set it to 1 or 0")
# ClamAV's clamd, asked whether a file is infected before a template has it; empty: nobody is asked
MAILOPS_CLAMAV: str = env.read(
    "MAILOPS_CLAMAV",
    parse.listener_or_socket,
    "",
    fix="give host:port or the path of clamd's socket",
)
if MAILOPS_CLAMAV and not MAILOPS_CLAMAV.startswith("/"):
    MAILOPS_TRUSTED_RELAYS |= {parse.host_and_port(MAILOPS_CLAMAV)}  # whoever names it trusts it
# MB of a file that goes with a mail, and of all of them: on the way they grow by 37 %, and a mail of 10 MB is too big
MAILOPS_FILE_MB: int = env.read(
    "MAILOPS_FILE_MB", parse.mail_megabytes, 5, fix="give MB, 1 to 7; link to what is larger"
)
MAILOPS_FILES_MB: int = env.read(
    "MAILOPS_FILES_MB", parse.mail_megabytes, 7, fix="give MB, 1 to 7; link to what is larger"
)
MAILOPS_FILE_TYPES: list[str] = env.read(
    "MAILOPS_FILE_TYPES",
    parse.file_endings,
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "pdf",
        "txt",
        "csv",
        "ics",
        "vcf",
        "docx",
        "xlsx",
        "pptx",
        "odt",
        "ods",
    ],
    fix="give endings, without dots, such as png,jpg,pdf",
)
MAILOPS_EXTRA_CA_FILE: Path | None = env.read(
    "MAILOPS_EXTRA_CA_FILE",
    parse.certificates,
    None,
    fix="give a PEM file of the authorities that sign your own relays, trusted beside the system's",
)
MAILOPS_SECRET_FOLDER: Path | None = env.read(
    "MAILOPS_SECRET_FOLDER",
    parse.existing_folder,
    None,
    fix="give the folder that transports may read their secrets from",
)

# --- Keys ------------------------------------------------------------------------------------

_keys = Environment(env.given(*KEY_NAMES))
if not all(map(_keys.has, KEY_NAMES)):
    try:
        _kept = kept_keys(MAILOPS_HOME, make=MAILOPS_IS_EMBEDDED)
        _keys = Environment({**_kept, **env.given(*KEY_NAMES)})
    except OSError as error:
        env.complain(
            f"MAILOPS_HOME: {error.filename}: {error.strerror}",
            "give a folder that you may write to",
        )
    except ValueError as error:
        env.complain(f"MAILOPS_HOME: {error}", "put it right, or back from your copy")
if not MAILOPS_IS_EMBEDDED and not all(map(_keys.has, KEY_NAMES)):
    env.complain(
        f"{', '.join(name for name in KEY_NAMES if not _keys.has(name))}: not given, and with"
        " DATABASE_URL mailops makes no keys by itself",
        "give them; `python -m mailops.lib.installation_keys` prints fresh ones",
    )
SECRET_KEY = _keys.read(
    "SECRET_KEY", parse.long_secret, "-", fix="give 40 random characters or more"
)
MAILOPS_SECRET_KEYS: list[str] = _keys.read(
    "MAILOPS_SECRET_KEYS", parse.keys, [], fix="give key,… : base64 of 32 bytes; the first encrypts"
)
MAILOPS_TOKEN_KEYS: dict[str, str] = _keys.read(
    "MAILOPS_TOKEN_KEYS", parse.named_keys, {}, fix="give id:key,… ; the first signs"
)
env.problems += _keys.problems

# --- Sending ---------------------------------------------------------------------------------

MAILOPS_HEARTBEAT_SECONDS = env.read(
    "MAILOPS_HEARTBEAT_SECONDS",
    parse.number(least=0.1, most=600),
    5.0,
    fix="give seconds; how often a worker says it lives",
)
MAILOPS_DEAD_AFTER_SECONDS = env.read(
    "MAILOPS_DEAD_AFTER_SECONDS",
    parse.number(least=0.2, most=3600),
    30.0,
    fix="give seconds; several heartbeats at least",
)
if MAILOPS_DEAD_AFTER_SECONDS < 2 * MAILOPS_HEARTBEAT_SECONDS:  # the living would be taken for dead
    env.complain(
        f"MAILOPS_DEAD_AFTER_SECONDS: {MAILOPS_DEAD_AFTER_SECONDS:g} is less than two heartbeats of"
        f" {MAILOPS_HEARTBEAT_SECONDS:g} s",
        "give several of MAILOPS_HEARTBEAT_SECONDS",
    )
# where workers note how far the database has come; several machines that share it must share the file, too
MAILOPS_EPOCH_FILE: Path = env.read(
    "MAILOPS_EPOCH_FILE",
    parse.file_beside_others,
    MAILOPS_HOME / "epochs",
    fix="give a file in a folder that outlives the database and every process",
)
# how long a stopping worker waits for the replies to bodies it has sent; `make up` stops in five
MAILOPS_STOP_GRACE_SECONDS = env.read(
    "MAILOPS_STOP_GRACE_SECONDS",
    parse.number(least=0, most=3600),
    2.5 if MAILOPS_IS_SUPERVISED else 30.0,
    fix="give seconds",
)
# how long a peer may take, as a share of what RFC 5321 gives it in each phase
MAILOPS_SMTP_PATIENCE = env.read(
    "MAILOPS_SMTP_PATIENCE",
    parse.number(least=0.01, most=10),
    1.0,
    fix="give a share such as 0.5, or leave it out",
)

# --- Database, queues and log ----------------------------------------------------------------

given_database: dict[str, Any] = env.read(
    "DATABASE_URL",
    parse.database,
    {"NAME": "mailops", "USER": "mailops", "HOST": str(socket_folder(MAILOPS_HOME))},
    fix="give postgresql://user:password@host:5432/name",
)
CELERY_BROKER_URL = env.read(
    "CELERY_BROKER_URL",
    parse.broker_url,
    "pgmq://database",
    fix="leave it out to use the database, or give a redis:// or amqp:// URL",
)
MAILOPS_LOG = env.read(
    "MAILOPS_LOG", parse.word_of("readable", "json"), "readable", fix="set it to readable or json"
)

env.finish()
