"""Runs mrml and css-inline in a process of its own, since both are native code that an author's source may crash.

Started by path, without Django; reads one JSON object from stdin and writes one to stdout.
"""

import json
import resource
import sys

MAX_MEMORY = 160 * 1024 * 1024  # octets of data
MAX_SECONDS = 5


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    asked = json.load(sys.stdin)
    sys.path += asked["path"]
    try:
        answer = _made(asked)
    except (OSError, ValueError, css_error()) as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


def css_error() -> type[Exception]:
    from css_inline import InlineError  # noqa: PLC0415 - the path is known only now

    error: type[Exception] = InlineError
    return error


def _made(asked: dict[str, str]) -> dict[str, str]:
    import css_inline  # noqa: PLC0415
    import mrml  # noqa: PLC0415

    if asked["act"] == "mjml":
        return {"html": mrml.to_html(asked["html"]).content}
    inliner = css_inline.CSSInliner(
        load_remote_stylesheets=False,
        keep_style_tags=True,
        inline_style_tags=asked["act"] == "inline",
        extra_css=asked.get("css") or None,
    )
    return {"html": inliner.inline(asked["html"])}


if __name__ == "__main__":
    main()
