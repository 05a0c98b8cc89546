"""Runs mrml and css-inline in a process of its own, since both are native code that an author's source may crash.

Started by path, without Django; each line of stdin is a question as a JSON object, each line of stdout its answer. Every
question has its own five seconds of processor time; the memory is one limit for all of them.
"""

import json
import resource
import sys
import time

sys.path += json.loads(sys.argv[1])

import css_inline
import mrml

MAX_MEMORY = 160 * 1024 * 1024  # octets of data
MAX_SECONDS = 5


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    for line in sys.stdin.buffer:
        allowed = int(time.process_time()) + MAX_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, most))
        try:
            answer = {"html": _made(json.loads(line))}
        except (OSError, ValueError, css_inline.InlineError) as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _made(asked: dict[str, str]) -> str:
    if asked["act"] == "mjml":
        html: str = mrml.to_html(asked["html"]).content
        return html
    inliner = css_inline.CSSInliner(
        load_remote_stylesheets=False,
        keep_style_tags=True,
        inline_style_tags=asked["act"] == "inline",
        extra_css=asked.get("css") or None,
    )
    return inliner.inline(asked["html"])


if __name__ == "__main__":
    main()
