"""What servers write for people is read too: whom it concerns, why, and whether it is a bounce at all."""

import pytest

from mailops.protocol.feedback_mail import describe, read
from tests.costs import costing_less_than

COPY = (
    "Return-Path: <news@sender.example>\nReceived: from a.sender.example by b.example; Mon, 1 Jan 2026 00:00:00 +0000\n"
    "Message-ID: <m1@sender.example>\nFrom: News <news@sender.example>\nTo: user@rcpt.example\nSubject: Hello\n\nHello\n"
)


def mail(
    text,
    *,
    sender="MAILER-DAEMON@mx.example (Mail Delivery System)",
    subject="",
    headers="",
    charset="utf-8",
):
    head = (
        f"From: {sender}\nTo: news@sender.example\nSubject: {subject}\n{headers}"
        f"MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    )
    return head.encode("utf-8") + text.encode(charset)


def told(data):
    found = describe(read(data))
    return (
        found["type"],
        [(one["recipient"], one["reason"], one["suppress"]) for one in found["recipients"]],
        found["original_message_id"],
    )


QMAIL = (
    "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n"
    "This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
)
BOUNCES = {
    "qmail": (
        {"subject": "failure notice"},
        QMAIL + "<user@rcpt.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 <user@rcpt.example>: "
        "Recipient address rejected: User unknown\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "qmail, of its own": (
        {"subject": "failure notice"},
        QMAIL + "<user@rcpt.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n<full@rcpt.example>:\n"
        "Recipient's mailbox is full, message returned to sender. (#5.2.2)\n\n--- Below this line is a copy of the message.\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True), ("full@rcpt.example", "mailbox_full", False)],
    ),
    "qmail, no such host": (
        {"subject": "failure notice"},
        QMAIL + "<user@rcpt.example>:\nSorry, I couldn't find any host named rcpt.example. (#5.1.2)\n\n--- Below this line is a copy of the message.\n\n" + COPY,
        [("user@rcpt.example", "unknown_domain", True)],
    ),
    "exim": (
        {"subject": "Mail delivery failed: returning message to sender", "headers": "X-Failed-Recipients: user@rcpt.example\nAuto-Submitted: auto-replied\n"},
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\n"
        "recipients. This is a permanent error. The following address(es) failed:\n\n  user@rcpt.example\n    SMTP error from remote mail server after RCPT TO:<user@rcpt.example>:\n"
        "    host mx.rcpt.example [192.0.2.1]: 550 5.1.1 <user@rcpt.example>:\n    User unknown\n\n------ This is a copy of the message, including all the headers. ------\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "exim, an alias": (
        {"subject": "Mail delivery failed: returning message to sender", "headers": "X-Failed-Recipients: there@far.example\n"},
        "The following address(es) failed:\n\n  there@far.example\n    (generated from user@rcpt.example)\n    mailbox is full: retry timeout exceeded\n\n"
        "------ This is a copy of the message, including all the headers. ------\n\n" + COPY,
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "exim, unrouteable": (
        {"subject": "Mail delivery failed: returning message to sender", "headers": "X-Failed-Recipients: user@rcpt.example\n"},
        "The following address(es) failed:\n\n  user@rcpt.example\n    all relevant MX records point to non-existent hosts\n\n------ This is a copy of your message ------\n" + COPY,
        [("user@rcpt.example", "unknown_domain", True)],
    ),
    "postfix, in plain text": (
        {"subject": "Undelivered Mail Returned to Sender"},
        "This is the Postfix program at host mx.example.\n\nI'm sorry to have to inform you that your message could not be\nbe delivered to one or more recipients.\n\n"
        "<user@rcpt.example>: host mx.rcpt.example[192.0.2.1] said: 552 5.2.2 Mailbox\n    size limit exceeded (in reply to RCPT TO command)\n\n" + COPY,
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "sendmail": (
        {"subject": "Returned mail: see transcript for details"},
        "The original message was received at Mon, 1 Jan 2026 00:00:00 GMT\nfrom localhost [127.0.0.1]\n\n   ----- The following addresses had permanent fatal errors -----\n"
        "<user@rcpt.example>\n    (reason: 550 5.1.1 <user@rcpt.example>... User Unknown)\n\n   ----- Transcript of session follows -----\n"
        "... while talking to mx.rcpt.example.:\n>>> DATA\n<<< 550 5.1.1 <user@rcpt.example>... User Unknown\n550 5.1.1 <user@rcpt.example>... User unknown\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "sendmail, reason in the transcript": (
        {"subject": "Returned mail: Host unknown (Name server: rcpt.example: host not found)", "sender": "Mail Delivery Subsystem <MAILER-DAEMON@mx.example>"},
        "   ----- The following addresses had permanent fatal errors -----\nuser@rcpt.example\n\n   ----- Transcript of session follows -----\n"
        "550 user@rcpt.example... Host unknown (Name server: rcpt.example: host not found)\n\n   ----- Original message follows -----\n" + COPY,
        [("user@rcpt.example", "unknown_domain", True)],
    ),
    "exchange 5.5": (
        {"subject": "Undeliverable: Hello", "sender": "System Administrator <postmaster@rcpt.example>"},
        ("Your message\n\n  To:      user@rcpt.example\n  Subject: Hello\n  Sent:    Mon, 1 Jan 2026 00:00:00 -0000\n\ndid not reach the following recipient(s):\n\n"
        "user@rcpt.example on Mon, 1 Jan 2026 00:00:10 -0000\n    The recipient name is not recognized\n\tThe MTS-ID of the original message is: c=us;a= ;p=x;l=Y\n    MSEXCH:IMS:x:y:z 0 (000C05A6) Unknown Recipient\n"),
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "gmail": (
        {"subject": "Delivery Status Notification (Failure)", "sender": "Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "headers": "X-Failed-Recipients: user@rcpt.example\n"},
        "Delivery to the following recipient failed permanently:\n\n     user@rcpt.example\n\nTechnical details of permanent failure:\nGoogle tried to deliver your message, but it was rejected by the server for the recipient domain rcpt.example by mx.rcpt.example. [192.0.2.1].\n\n"
        "The error that the other server returned was:\n552 5.2.2 mailbox is full\n\n----- Original message -----\n\n" + COPY,
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "yahoo": (
        {"subject": "Failure Notice", "sender": "MAILER-DAEMON@yahoo.com"},
        "Sorry, we were unable to deliver your message to the following address.\n\n<user@rcpt.example>:\nRemote host said:\n554 delivery error: dd This user doesn't have a yahoo.com account (user@rcpt.example) [-5] - mta.example\n [RCPT_TO]\n\n"
        "--- Below this line is a copy of the message.\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "yahoo, with a colon": (
        {"subject": "Failure Notice", "sender": "MAILER-DAEMON@yahoo.com"},
        "Sorry, we were unable to deliver your message to the following address.\n\n<user@rcpt.example>:\n550: 5.2.1 The email account that you tried to reach is disabled.\n\n" + COPY,
        [("user@rcpt.example", "mailbox_disabled", True)],
    ),
    "domino": (
        {"subject": "DELIVERY FAILURE: User user (user@rcpt.example) not listed in Domino Directory", "sender": "Postmaster@rcpt.example"},
        "Your message\n\n  Subject: Hello\n\nwas not delivered to:\n\n  user@rcpt.example\n\nbecause:\n\n  User user (user@rcpt.example) not listed in Domino Directory\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "notes": (
        {"subject": "NDN: Hello", "sender": "Mail Router <router@rcpt.example>"},
        "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\nuser@rcpt.example\n\n------- Returned Message --------\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "opensmtpd": (
        {"subject": "Delivery status notification: error", "sender": "Mailer Daemon <MAILER-DAEMON@mx.example>"},
        "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\n"
        "user@rcpt.example: 550 Invalid recipient\n\n    Below is a copy of the original message:\n\n" + COPY,
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "mdaemon": (
        {"subject": "Permanent Delivery Failure", "sender": "MDaemon <MDaemon@rcpt.example>"},
        "The attached message had PERMANENT fatal delivery errors!\n\n---- Session transcript ----\nSession 1; child 1\n--> MAIL From:<news@sender.example>\n<-- 250 OK\n--> RCPT To:<user@rcpt.example>\n<-- 550 Recipient unknown\n--> QUIT\n\nFailed address: user@rcpt.example\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "imail": (
        {"subject": "Undeliverable Mail", "sender": "Postmaster <postmaster@rcpt.example>"},
        "User mailbox exceeds allowed size: user@rcpt.example\n\nOriginal message follows.\n\n" + COPY,
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "courier": (
        {"subject": "NOTICE: mail delivery status.", "sender": '"Courier mail server at mx.example" <>'},
        "This is a delivery status notification from mx.example,\nrunning the Courier mail server.\n\n                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<user@rcpt.example>:\n    mx.rcpt.example [192.0.2.1]:\n>>> RCPT TO:<user@rcpt.example>\n<<< 550 User unknown\n\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "a session, as some gateways show it": (
        {"subject": "Mail could not be delivered", "sender": "<postmaster@mx.example>"},
        "****** Message from InterScan ******\n\nSent >>> RCPT TO:<user@rcpt.example>\nReceived <<< 550 5.1.1 no such user\n\nUnable to deliver message to <user@rcpt.example>.\n\n************************\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "pmdf": (
        {"subject": "Delivery Notification: Delivery has failed", "sender": "Internet Mail Delivery <postmaster@mx.example>"},
        "Your message cannot be delivered to the following recipients:\n\n  Recipient address: user@rcpt.example\n  Reason: Illegal host/domain name found\n",
        [("user@rcpt.example", "unknown_domain", True)],
    ),
    "outlook.com's address found nowhere": (
        {"subject": "Undeliverable: Hello", "sender": "postmaster@rcpt.example"},
        ("Delivery has failed to these recipients or groups:\n\nuser@rcpt.example (user@rcpt.example)\nThe email address you entered couldn't be found. Please check the recipient's email address and try to resend the message.\n\n"
        "Diagnostic information for administrators:\n\nGenerating server: x.example\n\nuser@rcpt.example\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n"),
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "German": (
        {"subject": "Mail konnte nicht zugestellt werden", "sender": "Postmaster <postmaster@rcpt.example>", "charset": "iso-8859-1"},
        "Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: user@rcpt.example\nGrund: Das Postfach ist voll.\n",
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "French": (
        {"subject": "=?iso-8859-1?q?=C9chec_de_la_remise?=", "sender": "postmaster@rcpt.example", "charset": "iso-8859-1"},
        "Votre message n'a pas pu être remis au destinataire suivant :\n\n   user@rcpt.example\n\nUtilisateur inconnu.\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "Spanish": (
        {"subject": "Error de entrega", "sender": "postmaster@rcpt.example"},
        "No se pudo entregar su mensaje a:\n\n<user@rcpt.example>: el buzón del usuario está lleno\n",
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "Russian": (
        {"subject": "Недоставленное сообщение", "sender": "Mailer-Daemon <mailer-daemon@rcpt.example>", "charset": "koi8-r"},
        "Письмо не может быть доставлено следующим получателям:\n\n  user@rcpt.example\n    нет такого пользователя\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "Japanese": (
        {"subject": "=?iso-2022-jp?B?GyRCR1s/LkUqGyhC?= mail error", "sender": "MAILER-DAEMON@rcpt.example", "charset": "iso-2022-jp"},
        "以下のメールは配信できませんでした。\n\n宛先: user@rcpt.example\n理由: ユーザーが存在しません\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
    "Chinese": (
        {"subject": "系统退信", "sender": "postmaster@rcpt.example", "charset": "gb18030"},
        "抱歉，您的邮件被退回来了。\n\n收件人：user@rcpt.example\n退信原因：收件人的邮箱已满\n",
        [("user@rcpt.example", "mailbox_full", False)],
    ),
    "Korean": (
        {"subject": "메일 전송 실패", "sender": "postmaster@rcpt.example", "charset": "euc-kr"},
        "메일이 전송되지 않았습니다.\n\n받는 사람: user@rcpt.example\n실패 사유: 존재하지 않는 사용자입니다\n",
        [("user@rcpt.example", "unknown_mailbox", True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNCES)
def test_a_bounce_in_words_tells_whom_and_why(name):
    fields, text, expected = BOUNCES[name]
    kind, recipients, _ = told(mail(text, **fields))
    assert (kind, recipients) == ("bounce", expected)


def test_the_copy_below_tells_which_message():
    fields, text, _ = BOUNCES["qmail"]
    assert told(mail(text, **fields))[2] == "<m1@sender.example>"


OTHERS = {
    "exim warns": ("delay", {"subject": "Warning: message 1abc-0001-Xy delayed 24 hours"}, "A message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.\n\nThe address to which the message has not yet been delivered is:\n\n  user@rcpt.example\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time\n"),
    "gmail waits": ("delay", {"subject": "Delivery Status Notification (Delay)"}, "THIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following recipient has been delayed:\n\n     user@rcpt.example\n\nMessage will be retried for 2 more day(s)\n"),
    "sendmail waits": ("delay", {"subject": "Warning: could not send message for past 4 hours"}, "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n    **********************************************\n\n   ----- The following addresses had transient non-fatal errors -----\n<user@rcpt.example>\n\n   ----- Transcript of session follows -----\n451 4.4.1 reply: read error from mx.rcpt.example.\n"),
    "a success": ("delivered", {"subject": "Successful Mail Delivery Report"}, "Your message was successfully delivered to the destination(s) listed below.\n\n<user@rcpt.example>: delivery via local: delivered to mailbox\n"),
    "on holiday": ("auto-reply", {"sender": "user@rcpt.example", "subject": "Abwesend: Hello", "headers": "Auto-Submitted: auto-replied\n"}, "Ich bin derzeit nicht im Büro. Ihre Nachricht konnte nicht gelesen werden.\n"),
    "left the company": ("auto-reply", {"sender": "user@rcpt.example", "subject": "Automatic reply: Hello"}, "User is no longer with the company. Your message was not delivered to anyone.\n"),
    "a challenge": ("auto-reply", {"sender": "user@rcpt.example", "subject": "Please confirm your message"}, "I get too much spam. Please click the link below to confirm that you are a human.\nhttps://x.example/c\n"),
    "a challenge of a mail system": ("auto-reply", {"subject": "Verification required for message to user@rcpt.example"}, "The message you sent requires that you verify that you are human. It has not been delivered.\n"),
    "a person": ("other", {"sender": "user@rcpt.example", "subject": "Re: Undeliverable mail"}, "I got this too, my mailbox was full last week.\n"),
    "a person asks": ("other", {"sender": "user@rcpt.example", "subject": "Question"}, "Why was my order not delivered?\n"),
    "a person leaves": ("unsubscribe", {"sender": "user@rcpt.example", "subject": "unsubscribe"}, "\n"),
    "a person leaves in German": ("unsubscribe", {"sender": "user@rcpt.example", "subject": "Abmelden"}, "Danke\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_bounce_is_told_apart(name):
    expected, fields, text = OTHERS[name]
    kind, recipients, _ = told(mail(text, **fields))
    assert kind == expected
    assert kind == "unsubscribe" or not any(suppress for *_, suppress in recipients)


def test_words_in_html_alone_are_read():
    data = (
        "From: postmaster@rcpt.example\nSubject: Undeliverable: Hello\nContent-Type: text/html; charset=utf-8\n\n"
        "<html><head><style>p {color: red}</style></head><body><p><b>Delivery has failed to these recipients:</b></p>"
        "<p><a href='mailto:user@rcpt.example'>user@rcpt.example</a><br>The recipient&#39;s mailbox is full.</p></body></html>"
    )
    assert told(data.encode())[:2] == ("bounce", [("user@rcpt.example", "mailbox_full", False)])


def test_a_bounce_that_a_person_passed_on_is_read():
    fields, text, expected = BOUNCES["exim"]
    inner = mail(text, **fields).decode()
    data = (
        "From: boss@sender.example\nSubject: Fwd: what is this?\nContent-Type: multipart/mixed; boundary=o\n\n"
        f"--o\nContent-Type: text/plain\n\nsee below\n--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    )
    assert told(data.encode())[:2] == ("bounce", expected)


def test_who_is_not_named_may_stand_in_the_returned_message():
    text = "Your message could not be delivered. The mailbox is full.\n\n" + COPY
    assert told(mail(text, subject="Undelivered mail"))[1] == [
        ("user@rcpt.example", "mailbox_full", False)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"\n \n" * 200_000,
        b"a@b.c " * 150_000,
        b"user@x.example failed\n" * 40_000,
        b"550 5.1.1 " * 90_000,
        b"message-id <" * 70_000,
        b"<style" * 100_000,
        b"&lt;" * 200_000,
    ],
    ids=range(7),
)
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_text_made_to_hurt_costs_no_time(body, kind):
    head = f"From: MAILER-DAEMON@x\nSubject: failure notice\nContent-Type: text/{kind}\n\n"
    with costing_less_than(1):
        describe(read(head.encode() + body))
