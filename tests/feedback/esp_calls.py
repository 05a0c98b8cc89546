"""Calls of each provider's webhook in the form its documentation gives, signed as the provider signs them."""

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import md5
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

KEY = "key-0123456789"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ID = "1a2b3c-message"
TO = "bob@example.net"
GONE = "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown"


def now():
    return int(datetime.now(UTC).timestamp())


def public(key):
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b64encode(der).decode()


KEYS = {
    "mailersend": KEY, "mailgun": KEY, "mailtrap": KEY, "mandrill": KEY, "unisender_go": KEY,
    "postal": public(RSA_KEY), "sendgrid": public(EC_KEY),
    "resend": "whsec_" + b64encode(b"resend-secret").decode(),
}  # fmt: skip


def brevo(what, at):
    told = {"bounced": "hard_bounce", "delivered": "delivered", "complained": "spam"}[what]
    return {"event": told, "email": TO, "id": 1, "date": "2026-05-01 12:00:00", "ts": at, "ts_epoch": at * 1000, "message-id": ID, "subject": "Hi", "reason": GONE if what == "bounced" else ""}  # fmt: skip


def mailersend(what, at):
    told = {"bounced": "hard_bounced", "delivered": "delivered", "complained": "spam_complaint"}[what]  # fmt: skip
    morph = {"object": "recipient_bounce", "reason": GONE} if what == "bounced" else None
    email = {"object": "email", "id": "e1", "status": told, "message": {"object": "message", "id": ID}, "recipient": {"object": "recipient", "email": TO}}  # fmt: skip
    return {"type": f"activity.{told}", "data": {"object": "activity", "id": f"a-{what}-{at}", "type": told, "created_at": f"2026-05-01T12:00:{at % 60:02}.000000Z", "email": email, "morph": morph}}  # fmt: skip


def mailgun(what, at):
    told = {"bounced": "failed", "delivered": "delivered", "complained": "complained"}[what]
    token = f"{what}-{at}"
    signature = hmac.new(KEY.encode(), f"{at}{token}".encode(), "sha256").hexdigest()
    data = {"event": told, "id": token, "timestamp": at, "recipient": TO, "message": {"headers": {"message-id": ID, "to": TO}}, "user-variables": {}, "tags": []}  # fmt: skip
    if what == "bounced":
        data |= {"severity": "permanent", "reason": "bounce", "delivery-status": {"code": 550, "message": GONE, "enhanced-code": "5.1.1"}}  # fmt: skip
    return {"signature": {"timestamp": str(at), "token": token, "signature": signature}, "event-data": data}  # fmt: skip


def mailjet(what, at):
    told = {"bounced": "bounce", "delivered": "sent", "complained": "spam"}[what]
    more = {"hard_bounce": True, "blocked": False, "error_related_to": "recipient", "error": "user unknown", "comment": GONE} if what == "bounced" else {"smtp_reply": "sent (250 2.0.0 OK)"} if what == "delivered" else {"source": "JMRPP"}  # fmt: skip
    return [{"event": told, "time": at, "MessageID": 19421777835146490, "email": TO, "mj_campaign_id": 1, "Payload": "", **more}]  # fmt: skip


def mailtrap(what, at):
    told = {"bounced": "bounce", "delivered": "delivery", "complained": "spam"}[what]
    more = {"response": GONE, "response_code": 550, "bounce_category": "badmailbox"} if what == "bounced" else {}  # fmt: skip
    return {"events": [{"event": told, "message_id": ID, "sending_stream": "transactional", "email": TO, "timestamp": at, "event_id": f"{what}-{at}", **more}]}  # fmt: skip


def mandrill(what, at):
    told = {"bounced": "hard_bounce", "delivered": "delivered", "complained": "spam"}[what]
    msg = {"ts": at, "_id": ID, "state": "bounced", "email": TO, "tags": [], "metadata": {}}
    if what == "bounced":
        msg |= {"bounce_description": "bad_mailbox", "diag": f"smtp;{GONE}"}
    return urlencode({"mandrill_events": json.dumps([{"event": told, "_id": ID, "msg": msg, "ts": at}])})  # fmt: skip


def postal(what, at):
    if what == "bounced":
        return {"event": "MessageBounced", "timestamp": at, "uuid": f"{what}-{at}", "payload": {"original_message": {"id": ID, "direction": "outgoing", "to": TO, "tag": None}, "bounce": {"id": 2, "subject": "x"}, "details": GONE, "output": GONE}}  # fmt: skip
    return {"event": "MessageSent", "timestamp": at, "uuid": f"{what}-{at}", "payload": {"status": "Sent", "details": "ok", "output": "250 OK", "message": {"id": ID, "direction": "outgoing", "to": TO, "tag": None}}}  # fmt: skip


def postmark(what, at):
    common = {"MessageID": ID, "ServerID": 1, "MessageStream": "outbound", "Metadata": {}, "Tag": ""}  # fmt: skip
    if what == "delivered":
        return {"RecordType": "Delivery", "Recipient": TO, "DeliveredAt": f"2026-05-01T12:00:{at % 60:02}Z", "Details": "250 OK", **common}  # fmt: skip
    told = {"bounced": ("Bounce", "HardBounce", 1), "complained": ("SpamComplaint", "SpamComplaint", 512)}[what]  # fmt: skip
    return {"RecordType": told[0], "Type": told[1], "TypeCode": told[2], "ID": at, "Email": TO, "BouncedAt": "2026-05-01T12:00:00Z", "Details": f"smtp;{GONE}" if what == "bounced" else "", "Description": "The server was unable to deliver your message.", **common}  # fmt: skip


def resend(what, at):
    data = {"email_id": ID, "created_at": "2026-05-01T12:00:00Z", "from": "a@d.example", "to": [TO], "subject": "Hi"}  # fmt: skip
    if what == "bounced":
        data["bounce"] = {"message": GONE, "type": "Permanent", "subType": "General"}
    return {"type": f"email.{what}", "created_at": f"2026-05-01T12:00:{at % 60:02}.000Z", "data": data}  # fmt: skip


def sendgrid(what, at):
    told = {"bounced": "bounce", "delivered": "delivered", "complained": "spamreport"}[what]
    more = {"status": "5.1.1", "reason": GONE, "type": "bounce"} if what == "bounced" else {}
    return [{"email": TO, "timestamp": at, "smtp-id": "<x>", "anymail_id": ID, "event": told, "sg_event_id": f"{what}-{at}", "sg_message_id": "y", **more}]  # fmt: skip


def sparkpost(what, at):
    told = {"bounced": "bounce", "delivered": "delivery", "complained": "spam_complaint"}[what]
    more = {"bounce_class": "10", "raw_reason": GONE, "reason": GONE} if what == "bounced" else {}
    return [{"msys": {"message_event": {"type": told, "timestamp": str(at), "transmission_id": ID, "event_id": f"{what}-{at}", "rcpt_to": TO, "raw_rcpt_to": TO, "rcpt_meta": {}, **more}}}]  # fmt: skip


def unisender_go(what, at):
    told = {"bounced": "hard_bounced", "delivered": "delivered", "complained": "spam"}[what]
    more = {"delivery_status": "err_user_unknown", "destination_response": GONE} if what == "bounced" else {"delivery_status": "ok_delivered"}  # fmt: skip
    data = {"job_id": ID, "metadata": {}, "email": TO, "status": told, "event_time": f"2026-05-01 12:00:{at % 60:02}", "delivery_info": more}  # fmt: skip
    return {"auth": "AUTH", "events_by_user": [{"user_id": 1, "project_id": "1", "events": [{"event_name": "transactional_email_status", "event_data": data}]}]}  # fmt: skip


PAYLOADS = {
    one.__name__: one
    for one in (
        brevo, mailersend, mailgun, mailjet, mailtrap, mandrill, postal, postmark, resend,
        sendgrid, sparkpost, unisender_go,
    )
}  # fmt: skip
# How a transport stores the id that its provider calls a message by.
MESSAGE_IDS = {"mailgun": f"<{ID}>", "mailjet": "19421777835146490"}


def signed(kind, body, url, password=""):
    """Return the body and headers of a call as the provider makes it."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {}
    if kind in {"mailersend", "mailtrap"}:
        name = {"mailersend": "Signature", "mailtrap": "Mailtrap-Signature"}[kind]
        headers[name] = hmac.new(KEY.encode(), text.encode(), "sha256").hexdigest()
    elif kind == "mandrill":
        from urllib.parse import parse_qsl

        plain = url + "".join(name + value for name, value in sorted(parse_qsl(text)))
        digest = hmac.new(KEY.encode(), plain.encode(), "sha1").digest()
        headers["X-Mandrill-Signature"] = b64encode(digest).decode()
    elif kind == "postal":
        found = RSA_KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())
        headers["X-Postal-Signature"] = b64encode(found).decode()
    elif kind == "resend":
        at = str(now())
        plain = f"msg_{md5(text.encode()).hexdigest()}.{at}.{text}".encode()
        digest = hmac.new(b"resend-secret", plain, "sha256").digest()
        headers = {"Svix-Id": plain.decode().split(".", 1)[0], "Svix-Timestamp": at, "Svix-Signature": f"v1,{b64encode(digest).decode()}"}  # fmt: skip
    elif kind == "sendgrid":
        at = str(now())
        found = EC_KEY.sign(f"{at}{text}".encode(), ec.ECDSA(hashes.SHA256()))
        headers = {"X-Twilio-Email-Event-Webhook-Signature": b64encode(found).decode(), "X-Twilio-Email-Event-Webhook-Timestamp": at}  # fmt: skip
    elif kind == "unisender_go":
        signature = md5(text.replace("AUTH", KEY).encode()).hexdigest()
        text = text.replace("AUTH", signature)
    elif kind != "mailgun":
        headers["Authorization"] = "Basic " + b64encode(f"mailops:{password}".encode()).decode()
    return text, headers
