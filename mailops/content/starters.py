"""What a new template may begin with, so that nobody begins with an empty page."""

from dataclasses import dataclass, field
from typing import Any

_FRAME = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <style>
    body {{ margin: 0; font-family: system-ui, sans-serif; line-height: 1.5; }}
    .page {{ max-width: 600px; margin: 0 auto; padding: 24px; }}
    .button {{ display: inline-block; padding: 10px 16px; border-radius: 6px; background: #1d4ed8; color: #ffffff; }}
    .small {{ font-size: 13px; color: #5b6472; }}
    @media (prefers-color-scheme: dark) {{
      body {{ background: #14171c; color: #e8eaed; }}
      .small, .small a {{ color: #a3abb8; }}
    }}
  </style>
</head>
<body>
  <div class="page">
{body}
    <p class="small">You get this mail as {{{{ email }}}}. <a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></p>
  </div>
</body>
</html>
"""


@dataclass(frozen=True)
class Starter:
    label: str
    subject: str = ""
    html: str = ""
    sample: dict[str, Any] = field(default_factory=dict)


STARTERS = {
    "letter": Starter(
        "A letter with a button",
        "Hello {{ first_name | default: 'there' }}",
        _FRAME.format(
            body="""    <h1>Hello {{ first_name | default: 'there' }},</h1>
    <p>Write what there is to say.</p>
    <p><a class="button" href="https://example.com/">Read more</a></p>"""
        ),
        {"first_name": "Ada"},
    ),
    "receipt": Starter(
        "A receipt with rows",
        "Your order {{ order_number }}",
        _FRAME.format(
            body="""    <h1>Thank you, {{ first_name | default: 'friend' }}</h1>
    <table role="presentation" width="100%">
      {% for item in items %}
      <tr><td>{{ item.name }}</td><td align="right">{{ item.price }}</td></tr>
      {% endfor %}
    </table>"""
        ),
        {
            "first_name": "Ada",
            "order_number": "1042",
            "items": [{"name": "Tea", "price": "3.00"}, {"name": "Honey", "price": "4.50"}],
        },
    ),
    "blank": Starter("Nothing"),
}
