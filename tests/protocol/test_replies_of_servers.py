"""What each mail system writes is read as its makers document it; a row is a reason, the status field and the text."""

import pytest

from mailops.protocol.classification import classify_report

REPLIES = {
    "Postfix": """
unknown_mailbox|5.1.1|host mx.example[192.0.2.1] said: 550 5.1.1 <u@x.example>: Recipient address rejected: User unknown in local recipient table (in reply to RCPT TO command)
unknown_mailbox|5.1.1|unknown user: "bob"
unknown_domain|5.4.4|Host or domain name not found. Name service error for name=x.example type=AAAA: Host not found
unreachable|4.4.3|Host or domain name not found. Name service error for name=x.example type=MX: Host not found, try again
no_mail_domain|5.1.0|Domain x.example does not accept mail (nullMX)
unreachable|4.4.1|connect to mx.x.example[192.0.2.1]:25: Connection refused
unreachable|4.4.1|connect to mx.x.example[192.0.2.1]:25: No route to host
unreachable|4.4.2|lost connection with mx.x.example[192.0.2.1] while sending RCPT TO
unreachable|4.4.2|conversation with mx.x.example[192.0.2.1] timed out while sending end of data -- message may be sent more than once
loop|5.4.6|mail for x.example loops back to myself
loop|5.4.6|mail forwarding loop for u@x.example
loop|5.4.0|too many hops, this message is looping (#5.4.6)
relaying_denied|5.7.1|host mx[192.0.2.1] said: 554 5.7.1 <u@x.example>: Relay access denied (in reply to RCPT TO command)
tls_failed|5.7.10|TLS is required, but was not offered by host mx.x.example[192.0.2.1]
needs_smtputf8|5.6.7|SMTPUTF8 is required, but was not offered by host mx.x.example[192.0.2.1]
bad_message|5.6.3|8BITMIME is required, but was not offered
mailbox_full|5.2.2|maildir delivery failed: error writing message: Disk quota exceeded
mailbox_full|4.2.2|cannot update mailbox /var/mail/u for user u. error writing message: File too large
server_fault|5.2.0|can't create user output file. Command output: procmail: Couldn't create "/var/mail/nobody"
too_big|5.3.4|message size 20480000 exceeds size limit 10240000 of server mx.x.example[192.0.2.1]
gave_up|4.4.7|message expired in queue after 5 days
server_fault|5.3.0|Command died with status 127: "/usr/bin/procmail". Command output: sh: not found
server_fault|5.3.5|mail system configuration error
server_fault|4.3.5|Server configuration error
greylisted|4.2.0|host mx said: 450 4.2.0 <u@x.example>: Recipient address rejected: Greylisted, see http://postgrey.example/ (in reply to RCPT TO command)
unknown_mailbox|4.1.1|host mx said: 450 4.1.1 <u@x.example>: Recipient address rejected: unverified address: Address lookup failed
sender_refused|5.1.8|host mx said: 550 5.1.8 <n@d.example>: Sender address rejected: Domain not found (in reply to RCPT TO command)
no_reverse_dns|5.7.1|host mx said: 550 5.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1] (in reply to RCPT TO command)
no_reverse_dns|4.7.1|host mx said: 450 4.7.1 <mail.d.example>: Helo command rejected: Host not found
blocklisted|5.7.1|host mx said: 554 5.7.1 Service unavailable; Sender address [n@d.example] blocked using dbl.spamhaus.org
rate_limited|4.7.1|host mx said: 450 4.7.1 Error: too many recipients from 192.0.2.1
rate_limited|4.5.3|host mx said: 452 4.5.3 Error: too many recipients (in reply to RCPT TO command)
malware|5.7.1|host mx said: 554 5.7.1 Your message was found to contain a virus: Eicar-Test-Signature
content_refused|5.7.1|host mx said: 550 5.7.1 id=12345-06 - Rejected by next-hop MTA on relaying, from MTA(smtp:[127.0.0.1]:10025): 554 5.7.1 Spam message rejected
content_refused|5.7.0|host mx said: 550 5.7.0 message content rejected (in reply to end of DATA command)
not_understood|5.5.1|host mx said: 503 5.5.1 Error: need MAIL command (in reply to RCPT TO command)
not_understood|5.5.2|host mx said: 502 5.5.2 Error: command not recognized
bad_address|5.1.3|host mx said: 501 5.1.3 Bad recipient address syntax (in reply to RCPT TO command)
bad_address|5.1.3|bad address syntax
mailbox_moved|5.1.6|User has moved to u2@x.example
mailbox_moved|5.1.6|host mx said: 551 5.1.6 recipient no longer at this site
unknown_domain|5.4.4|unable to look up host mx.x.example: Name or service not known
unknown_domain|5.1.2|Host not found
unreachable|4.4.3|unable to look up host mx.x.example: Temporary failure in name resolution
unreachable|5.4.4|none of the MX records for x.example is reachable
""",
    "Sendmail": """
unknown_mailbox|5.1.1|550 5.1.1 <u@x.example>... User unknown
unknown_domain|5.1.2|550 5.1.2 <u@x.example>... Host unknown (Name server: x.example: host not found)
gave_up|5.4.7|Message could not be delivered for 5 days
gave_up|4.4.7|Cannot send message for 5 days
gave_up|5.0.0|Message will be deleted from queue
unreachable|4.4.1|Deferred: Connection timed out with mx.x.example.
unreachable|4.4.2|Deferred: Connection reset by mx.x.example.
server_fault|5.3.5|Local configuration error
server_fault|5.3.5|553 5.3.5 system config error
loop|5.3.5|553 5.3.5 mx.example. config error: mail loops back to me (MX problem?)
loop|5.4.6|554 5.4.6 Too many hops 26 (25 max): from <n@d> via mx, to <u@x>
too_big|5.2.3|552 5.2.3 Message size exceeds fixed maximum message size (10000000)
mailbox_full|5.2.2|552 5.2.2 <u@x.example>... Mailbox full
sender_refused|4.4.3|451 4.4.3 <u@x.example>... Domain of sender address n@d.example does not resolve
sender_refused|5.1.8|553 5.1.8 <n@d.example>... Domain of sender address n@d.example does not exist
sender_refused|4.1.8|451 4.1.8 Domain of sender address n@d.example does not resolve
relaying_denied|5.7.1|550 5.7.1 <u@x.example>... Relaying denied. IP name lookup failed [192.0.2.1]
relaying_denied|5.7.1|550 5.7.1 <u@x.example>... Relaying denied. Proper authentication required.
policy|5.7.1|550 5.7.1 Access denied
server_fault|5.3.0|unknown mailer error 1
server_fault|5.0.0|554 5.3.0 unknown mailer error 255
server_busy|4.3.2|421 4.3.2 Service not available, closing transmission channel
server_busy|4.3.1|452 4.3.1 Insufficient system storage
mailbox_disabled|5.2.1|550 5.2.1 <u@x.example>... Mailbox disabled for this recipient
server_busy|4.3.0|451 4.3.0 Temporary failure, please try again later (milter)
policy|5.7.1|554 5.7.1 Command rejected
""",
    "qmail": """
unknown_mailbox|5.1.1|Sorry, no mailbox here by that name. (#5.1.1)
unknown_mailbox|5.1.1|sorry, no mailbox here by that name. vpopmail (#5.1.1)
mailbox_disabled|5.7.1|This address no longer accepts mail.
unknown_domain|5.1.2|Sorry, I couldn't find any host named x.example. (#5.1.2)
unknown_domain|5.4.4|Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)
unreachable|4.4.1|Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)
loop|5.4.6|Sorry. Although I'm listed as a best-preference MX or A for that host, it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)
unreachable|4.4.3|CNAME lookup failed temporarily. (#4.4.3)
gave_up||I'm not going to try again; this message has been in the queue too long.
relaying_denied|5.7.1|553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
mailbox_full|5.2.2|user is over quota
mailbox_full||Account is over quota. Please delete some messages.
policy|5.7.1|550 sorry, your envelope sender is in my badmailfrom list (#5.7.1)
loop|5.4.6|This message is looping: it already has my Delivered-To line. (#5.4.6)
server_fault|4.3.0|Unable to switch to /home/u: access denied. (#4.3.0)
too_big|5.3.4|552 sorry, that message size exceeds my databytes limit (#5.3.4)
unreachable|4.4.2|Connected to 192.0.2.1 but connection died. (#4.4.2)
unreachable|4.4.2|Connected to 192.0.2.1 but greeting failed.
unknown_mailbox|5.1.1|192.0.2.1 does not like recipient. Remote host said: 550 unknown user
sender_refused||192.0.2.1 does not like sender. Remote host said: 550 bad
unexplained||192.0.2.1 failed after I sent the message. Remote host said: 554 Transaction failed
server_fault||Unable to chdir to maildir. (#4.2.1)
""",
    "Exim": """
unknown_domain||Unrouteable address
unknown_mailbox||unknown local-part "bob" in domain "x.example"
unreachable||host lookup did not complete
unknown_domain||all relevant MX records point to non-existent hosts
no_mail_domain||an MX or SRV record indicated no SMTP service
unreachable||all hosts for 'x.example' have been failing for a long time (and retry time not reached)
gave_up||retry timeout exceeded
unreachable||SMTP timeout after end of data (1234 bytes written): Connection timed out
mailbox_full||mailbox is full (MTA-imposed quota exceeded while writing to file /var/mail/u)
mailbox_full||mailbox is full: retry timeout exceeded
too_big||message too big
too_big||SMTP error from remote mail server after MAIL FROM:<n@d.example> SIZE=12345678: host mx.x.example [192.0.2.1]: 552 5.3.4 Message size exceeds fixed limit
unknown_mailbox||SMTP error from remote mail server after RCPT TO:<u@x.example>: host mx.x.example [192.0.2.1]: 550 No Such User Here
blocklisted||SMTP error from remote mail server after initial connection: host mx.x.example [192.0.2.1]: 554 Your IP is listed on a DNSBL
server_busy||SMTP error from remote mail server after initial connection: host mx.x.example [192.0.2.1]: 421 Too busy
sender_refused||SMTP error from remote mail server after RCPT TO:<u@x.example>: host mx.x.example [192.0.2.1]: 550-Verification failed for <n@d.example>\\n550-No Such User Here\\n550 Sender verify failed
server_fault||Child process of address_pipe transport returned 127 from command
server_fault||local delivery failed
server_fault||failed to expand argument
unreachable||Remote host mx.x.example [192.0.2.1] closed connection in response to initial connection
unreachable||retry time not reached for any host after a long failure period
no_reverse_dns||host mx [192.0.2.1]: 550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)
tls_failed||a TLS session is required, but the server did not offer TLS support
tls_failed||a TLS session is required, but an attempt to start TLS failed
loop||Too many "Received" headers - suspected mail loop
bad_message||Message has a line too long for transport
rate_limited||host mx: 451 Too many concurrent SMTP connections; please try again later.
quota_spent||Domain d.example has exceeded the max emails per hour (100/100 (100%)) allowed. Message discarded.
policy||rejected by local_scan
content_refused||550 This message scored 12.3 spam points.
greylisted||451 Temporary local problem - please try later, greylisted
""",
    "Courier / netqmail / OpenSMTPD / others": """
unknown_mailbox||550 User unknown.
unknown_domain||No such domain.
unreachable||Connection refused
gave_up||Delivery expired
mailbox_full||maildrop: maildir over quota.
unknown_mailbox||550 Invalid recipient: <u@x.example>
unknown_mailbox||550 5.1.1 RCP-P1 http://postmaster.facebook.example/
loop||Loop detected
unknown_domain||Domain does not exist
""",
    "Exchange": """
unknown_mailbox|5.1.1|#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##
unknown_mailbox|5.1.10|550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient u@x.example not found by SMTP address lookup
unknown_mailbox|5.1.1|550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found
bad_address|5.1.4|550 5.1.4 RESOLVER.ADR.Ambiguous; ambiguous address
recipient_refuses|5.7.1|#550 5.7.1 RESOLVER.RST.AuthRequired; authentication required ##
recipient_refuses|5.7.1|#550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized ##
too_big|5.2.3|#550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient ##
too_big|5.2.3|#550 5.2.3 RESOLVER.RST.SendSizeLimit.Sender; message too large for this sender
recipient_busy|5.2.121|550 5.2.121 RESOLVER.RST.RecipLimit; The recipient has exceeded their limit for the number of messages they can receive per hour
rate_limited|5.5.3|550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients
loop|5.4.6|#554 5.4.6 ROUTING.LoopDetected; Hop count exceeded - possible mail loop ##
loop|5.4.14|554 5.4.14 Hop count exceeded - possible mail loop ATTR34
mailbox_full|5.2.2|554 5.2.2 mailbox full;STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception
mailbox_full|5.2.2|#550 5.2.2 STOREDRV.Deliver: mailbox full. The message was rejected because the recipient mailbox is over quota
mailbox_disabled|5.2.1|550 5.2.1 STOREDRV.Deliver: mailbox disabled
unknown_mailbox|5.1.1|X400 NDR; The recipient name is not recognized
gave_up|4.4.7|#550 4.4.7 QUEUE.Expired; message expired ##
gave_up|5.4.300|550 5.4.300 Message expired
unreachable|4.4.1|451 4.4.0 Primary target IP address responded with: "421 4.2.1 Unable to connect." Attempted failover to alternate host, but that did not succeed.
unknown_domain|5.4.310|550 5.4.310 DNS domain x.example does not exist [Message=InfoDomainNonexistent] [LastAttemptedServerName=x.example]
unreachable|5.4.312|550 5.4.312 Message expired, DNS query failed(ErrorTimeout)
unreachable|5.4.316|550 5.4.316 Message expired, connection refused(Socket error code 10061)
unreachable|5.4.317|550 5.4.317 Message expired, cannot connect to remote server(Socket error code 10060)
unreachable|5.4.4|#550 5.4.4 ROUTING.NoConnectorForAddressType; unable to route for address type ##
loop|5.4.4|SMTPSEND.DNS.MxLoopback; DNS records for this domain are configured in a loop
unknown_domain|5.4.4|#550 5.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain ##
relaying_denied|5.7.1|550 5.7.1 Unable to relay
relaying_denied|5.7.54|550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain
policy|5.7.1|#550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy ##
bad_message|5.6.0|554 5.6.0 Invalid message content
bad_message|5.6.0|554 5.6.0 STOREDRV.Deliver.Exception:ConversionFailedException; Failed to process message due to a permanent exception with message Content conversion: Failed due to corrupt TNEF
bad_message|5.6.11|550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA and receiving system does not support BDAT
recipient_busy|4.3.2|432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded
unknown_mailbox|5.4.1|550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [VI1EUR05FT047.eop-eur05.prod.protection.outlook.com]
unknown_mailbox|5.4.1|550 5.4.1 [u@x.example]: Recipient address rejected: Access denied
unknown_mailbox|5.4.1|550 5.4.1 All recipient addresses rejected : Access denied. AS(201806271)
blocklisted|5.7.606|550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions
blocklisted|5.7.511|550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list please forward this message to delist@messaging.microsoft.com AS(1410)
low_reputation|5.7.708|550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653 AS(7230)
quota_spent|5.7.705|550 5.7.705 Service unavailable. Access denied, tenant has exceeded threshold. AS(42)
sender_refused|5.7.750|550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains
account_stopped|5.1.8|550 5.1.8 Access denied, bad outbound sender. AS(42004)
quota_spent|5.1.90|550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients
quota_spent|5.2.2|554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; the message can't be submitted because the sender's submission quota was exceeded
account_stopped|5.7.501|550 5.7.501 Access denied, spam abuse detected. Please contact support
recipient_refuses|5.7.507|550 5.7.507 Access denied, rejected by recipient
dmarc_failed|5.7.509|550 5.7.509 Access denied, sending domain d.example does not pass DMARC verification and has a DMARC policy of reject
bad_message|5.7.512|550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant
blocklisted|5.7.513|550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by x.example using Customer Block list (AS16012607)
unauthenticated|5.7.515|550 5.7.515 Access denied, sending domain d.example doesn't meet the required authentication level. The sender's domain in the 5322.From address doesn't meet the authentication requirements defined for the sender.
recipient_refuses|5.7.124|550 5.7.124 RESOLVER.RST.NotAuthorized; sender not in allowed-senders list
recipient_refuses|5.7.133|550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group
recipient_refuses|5.7.134|550 5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required
recipient_refuses|5.7.129|550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized
rate_limited|4.7.651|451 4.7.651 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)
rate_limited|4.7.652|451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections.(S843)
low_reputation|4.7.500|451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712)
rate_limited|4.7.650|451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.
blocklisted|5.7.1|550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).
rate_limited|4.0.0|421 RP-001 (BAY004-MC1F12) Unfortunately, some messages from 192.0.2.1 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day.
blocklisted|5.0.0|550 SC-001 (COL004-MC2F18) Unfortunately, messages from 192.0.2.1 weren't sent. Please contact your Internet service provider since part of their network is on our block list.
blocklisted|5.0.0|550 OU-002 (SNT004-MC2F40) Unfortunately, messages from 192.0.2.1 weren't sent. Please contact your Internet service provider since part of their network is on our block list.
low_reputation|5.0.0|550 DY-001 (COL0-MC3-F7) Unfortunately, messages from 192.0.2.1 weren't sent. We do not accept mail from dynamic IPs.
low_reputation|5.0.0|550 SC-002 Mail rejected by Windows Live Hotmail for policy reasons. The mail server IP connecting to Windows Live Hotmail server has exhibited namespace mining behavior.
unknown_mailbox|5.5.0|550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).
unknown_mailbox|5.5.0|smtp;550 Requested action not taken: mailbox unavailable
dmarc_failed|5.7.0|550 5.7.0 (COL004-MC1F20) Unfortunately, messages from (192.0.2.1) on behalf of (d.example) could not be delivered due to domain owner policy restrictions.
unreachable|5.0.350|550 5.0.350 Remote server returned an error -> 550 5.4.1 connection refused
unknown_mailbox|5.0.350|550 5.0.350 Remote server returned an error -> 550 5.1.1 <u@x.example> User unknown
policy|5.7.703|550 5.7.703 Your message can't be delivered because messages to u@x.example are blocked by your organization using Tenant Allow Block List
policy|5.7.520|550 5.7.520 Access denied, Your organization does not allow external forwarding. Please contact your administrator for further assistance. AS(7555)
tls_failed|5.7.323|550 5.7.323 tlsa-invalid: The domain failed DANE validation
tls_failed|5.7.322|550 5.7.322 certificate-expired: Destination mail server's certificate is expired
server_busy|4.3.2|452 4.3.1 Insufficient system resources (UsedDiskSpace[D:])
unreachable|4.4.2|#< #4.4.2 smtp;421 4.4.2 Connection dropped due to SocketError>
login_required|5.7.57|530 5.7.57 Client not authenticated to send mail. [XX]
""",
    "Gmail": """
unknown_mailbox|5.1.1|550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser - gsmtp
mailbox_disabled|5.2.1|550-5.2.1 The email account that you tried to reach is inactive. For more information, go to https://support.google.com/mail/?p=DisabledUser
mailbox_full|5.2.2|552-5.2.2 The recipient's inbox is out of storage space and inactive. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm
mailbox_full|4.2.2|452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp
recipient_busy|4.2.1|450 4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time.
recipient_busy|5.2.1|550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. For more information, visit https://support.google.com/mail/?p=ReceivingRatePerm
unauthenticated|5.7.26|550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. Authentication results: DKIM = did not pass SPF [d.example] with ip: [192.0.2.1] = did not pass
dmarc_failed|5.7.26|550-5.7.26 Unauthenticated email from d.example is not accepted due to domain's DMARC policy. Please contact the administrator of d.example domain
unauthenticated|5.7.26|550-5.7.26 This message does not pass authentication checks (SPF and DKIM both do not pass). SPF check for [d.example] does not pass with ip: [192.0.2.1].
spf_failed|5.7.27|550-5.7.27 Your email has been blocked because SPF didn't pass with ip: [192.0.2.1]
dkim_failed|4.7.30|421-4.7.30 Your email has been rate limited because DKIM authentication didn't pass for this message. Gmail requires all bulk email senders to authenticate their email with DKIM.
dmarc_failed|4.7.32|421-4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either the authenticated SPF or DKIM organizational domain.
no_reverse_dns|4.7.23|421-4.7.23 Your email has been rate limited because the sending IP address doesn't have a PTR record, or the PTR record's forward DNS entry doesn't match the sending IP address.
tls_required|4.7.29|421-4.7.29 Your email has been rate limited because this message wasn't sent over a TLS connection. Gmail requires all bulk email senders to use TLS/SSL for SMTP connections.
rate_limited|4.7.28|421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited.
low_reputation|5.7.1|550-5.7.1 [192.0.2.1 19] Gmail has detected that this message is likely suspicious due to the very low reputation of the sending domain. To best protect our users from spam, the message has been blocked.
low_reputation|5.7.1|550-5.7.1 [192.0.2.1] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address.
content_refused|5.7.1|550-5.7.1 [192.0.2.1      12] Gmail has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.
low_reputation|5.7.1|550-5.7.1 The IP you're using to send mail is not authorized to send email directly to our servers. Please use the SMTP relay at your service provider instead.
policy|5.7.1|550 5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent. Please contact your domain administrator for further details.
quota_spent|5.4.5|550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852
too_big|5.3.4|552-5.3.4 Your message exceeded Google's message size limits. Please visit https://support.google.com/mail/?p=MaxSizeError
bad_message|5.7.1|550-5.7.1 [192.0.2.1] Messages missing a valid address in From: header, or having no From: header, are not accepted.
bad_message|5.7.1|550 5.7.1 This message is not RFC 5322 compliant. There are multiple To headers. To reduce the amount of spam sent to Gmail, this message has been blocked.
no_reverse_dns|5.7.1|550-5.7.1 [2001:db8::1 12] Our system has detected that this message does not meet IPv6 sending guidelines regarding PTR records and authentication.
unknown_domain||DNS Error: DNS type 'mx' lookup of x.example responded with code NXDOMAIN Domain name not found: x.example
unreachable||DNS Error: DNS type 'mx' lookup of x.example responded with code SERVFAIL
no_mail_domain||DNS Error: Domain name x.example does not receive email (null MX)
unreachable||The recipient server did not accept our requests to connect. Learn more at https://support.google.com/mail/answer/7720 [mx.x.example 192.0.2.1: timed out]
unreachable||timed out
rate_limited|4.7.0|421-4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily blocked.
unknown_mailbox|5.1.1|550-5.1.1 The email account that you tried to reach does not exist.\\n550 5.1.1 https://support.google.com/mail/answer/6596 x1si - gsmtp
unknown_mailbox|5.0.0|550 No such user (u@x.example) [state 14].
recipient_refuses|5.7.1|550 5.7.1 The group u is restricted. We're writing to let you know that the group you tried to contact (u) may not exist, or you may not have permission to post messages to the group.
""",
    "Yahoo, AOL": """
unknown_mailbox||554 delivery error: dd Requested mail action aborted, mailbox not found - mta1.mail.yahoo.com
unknown_mailbox||554 delivery error: dd Not a valid recipient - mta1001.mail.ne1.yahoo.com
mailbox_disabled||554 delivery error: dd Sorry your message to u@yahoo.com cannot be delivered. This account has been disabled or discontinued [#102]. - mta1
mailbox_full||554 delivery error: dd u@yahoo.com is over quota - mta
low_reputation|4.7.0|421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes
low_reputation|4.7.1|421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes
low_reputation|4.16.55|421 4.16.55 [TS01] Messages from 192.0.2.1 temporarily deferred due to excessive user complaints
policy|5.7.9|554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes
dmarc_failed|5.7.9|554 5.7.5 (AU01) Message not accepted for policy reasons - DMARC
content_refused|5.0.0|554 Message not allowed - [PH01] Email not accepted for policy reasons. Please visit https://postmaster.yahooinc.com/error-codes
content_refused|5.0.0|554 Message not allowed - UP Email not accepted for policy reasons.
unknown_mailbox|5.0.0|552 1 Requested mail action aborted, mailbox not found
mailbox_full|5.0.0|552 Requested mail action aborted: exceeded storage allocation
blocklisted|5.7.1|553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html
blocklisted|5.7.1|553 5.7.1 [BL23] Connections not accepted from IP addresses on Spamhaus XBL
unknown_mailbox||550 5.1.1 <u@aol.com>: Recipient address rejected: aol.com
server_fault||451 4.3.2 Internal error reading data
server_busy||451 Resources temporarily not available - Please try again later
rate_limited||421 Max message per connection reached, closing transmission channel
low_reputation||554 5.7.1 (RLY:B1) https://postmaster.aol.com/error-codes#554rlyb1
low_reputation||421 4.7.1 : (DYN:T1) https://postmaster.aol.com/error-codes
blocklisted||554- (RTR:BL) https://postmaster.aol.com/error-codes#554rtrbl
content_refused||554 (HVU:B1) https://postmaster.aol.com/error-codes#554hvub1
""",
    "Apple": """
policy|5.7.1|554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137
mailbox_full|5.2.2|552 5.2.2 <u@icloud.com>: user is over quota
unknown_mailbox|5.1.1|550 5.1.1 <u@icloud.com>: user does not exist
mailbox_disabled|5.1.6|550 5.1.6 <u@icloud.com>: recipient no longer exists
mailbox_disabled|4.2.1|450 4.2.1 <u@mac.com>: inactive email account
""",
    "Comcast": """
blocklisted|5.2.0|554 5.2.0 resimta-po-12v.sys.comcast.net comcast 192.0.2.1 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000
rate_limited|4.2.0|421 4.2.0 comcast Throttled - try again later. Please see http://postmaster.comcast.net/smtp-error-codes.php#RL000001
no_reverse_dns|5.2.0|554 resimta comcast 192.0.2.1 Comcast requires that all mail servers must have a PTR record with a valid Reverse DNS entry. Currently your mail server does not fill that requirement.
unknown_mailbox|5.1.1|550 5.1.1 <u@comcast.net> recipient does not exist here
unknown_mailbox|5.1.1|550 5.1.1 Account not available
dmarc_failed|5.7.1|550 5.2.0 Message rejected due to DMARC. Please see http://postmaster.comcast.net/smtp-error-codes.php#DM000001
""",
    "Orange / free / laposte / sfr": """
rate_limited|5.2.0|421 mwinf5c31 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]
low_reputation|4.2.0|421 4.2.0 Service refuse. Veuillez essayer plus tard. service refused, please try later. OFR_999 [999]
unknown_mailbox|5.1.1|550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR204_416 [416]
mailbox_full|5.2.2|552 5.1.1 Boite du destinataire archivee. Archived recipient mailbox full
blocklisted|5.7.1|554 ME Mail rejected. Your IP is blacklisted. OFR_108
spf_failed|5.7.1|550 5.7.1 Service refuse (SPF). OFR_519
unknown_mailbox|5.1.1|550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. LPN007_410 [410]
low_reputation|5.7.1|550 5.7.1 Service refuse. Veuillez essayer plus tard. LPN007_510
mailbox_disabled|5.2.1|550 5.2.1 Ce compte est desactive. This account is disabled
""",
    "GMX, web.de, 1und1": """
unknown_mailbox|5.0.0|550 Requested action not taken: mailbox unavailable For explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=hn
no_reverse_dns|5.0.0|554 gmx.net (mxgmx017) Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record. For explanation visit https://postmaster.gmx.net/en/error-messages?c=rdns
policy|5.0.0|554 Transaction failed Reject due to policy restrictions. For explanation visit https://postmaster.web.de/en/error-messages
rate_limited|4.0.0|450 Requested mail action not taken: mailbox unavailable Mail send limit exceeded. For explanation visit https://postmaster.1und1.de
too_big||552 Requested mail action aborted: exceeded storage allocation Message too large
content_refused||554 Transaction failed Unsolicited message. For explanation visit
spf_failed||550 Requested action not taken: mailbox unavailable Sender address is not allowed. SPF fail
""",
    "T-Online": """
unknown_mailbox||550-5.1.1 user unknown
unauthenticated||550 5.7.0 Fehlende E-Mail-Authentifizierung
""",
    "Mail.ru / Yandex / Rambler": """
unknown_mailbox||550 Message was not accepted -- invalid mailbox.  Local mailbox u@mail.ru is unavailable: user not found
mailbox_disabled||550 Message was not accepted -- invalid mailbox.  Local mailbox u@mail.ru is unavailable: account is disabled
mailbox_full||550 Message was not accepted -- invalid mailbox.  Local mailbox u@mail.ru is unavailable: mailbox is full
content_refused||550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=... or report details to abuse@corp.mail.ru.
content_refused|5.7.1|554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1234-abc
unknown_mailbox|5.7.1|550 5.7.1 No such user!
policy|5.7.1|554 5.7.1 Policy rejection on the target address
mailbox_full|5.2.2|452 4.2.2 Mailbox size limit exceeded
rate_limited||451 4.7.1 Sorry, the service is currently unavailable. Please come back later. rate limit
greylisted||451 Try again later, you have been greylisted
""",
    "QQ / 163 / sina / sohu / Naver / Docomo / KDDI / Softbank": """
unknown_mailbox||550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728
unexplained||550 Mailbox unavailable or access denied [MF]. http://service.mail.qq.com
content_refused||550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&id=20022&no=1000726
rate_limited||550 Ip frequency limited [1234 IP: 192.0.2.1]. http://service.mail.qq.com/cgi-bin/help?id=20022
rate_limited||550 Domain frequency limited [x]. https://service.mail.qq.com
rate_limited||451 Connection frequency limited
content_refused||550 Suspected spam ip https://help.mail.qq.com/
blocklisted||550 IP in blacklist, from: 192.0.2.1
unknown_mailbox||550 User not found: u@163.com
unknown_mailbox||550 MI:NHD 163 smtp2 User not exist
content_refused||554 DT:SPM 163 smtp5,abc please see http://mail.163.com/help/help_spam_16.htm?ip=
content_refused||553 DT:SPM 126 mx3
content_refused||451 DT:SPM mx5 please try again
rate_limited||421 RP:TRL 163 mx1
blocklisted||550 RP:IPL 163 please see
rate_limited||553 MI:DMC 163 mx
spf_failed||550 MI:SPF 163 mx14
rate_limited||554 HL:ITC 163 smtp
rate_limited||450 MI:CEL 163
rate_limited||450 RP:QRC 163
mailbox_full||552 user quota exceeded, mailbox full naver
unknown_mailbox|5.1.1|550 5.1.1 : Recipient address rejected: User unknown in relay recipient table
unknown_mailbox||550 5.2.0 <u@ezweb.ne.jp>: u user unknown
unknown_mailbox||550 Invalid recipient: <u@softbank.ne.jp>
""",
    "Proofpoint, Mimecast, Barracuda, IronPort, Symantec, Trend, Sophos, SpamExperts, MailChannels": """
rate_limited|4.7.0|421 4.7.0 Service not available - too many errors... proofpoint reputation deferred
unknown_mailbox|5.1.1|550 5.1.1 User Unknown - Proofpoint
blocklisted||550 5.7.0 Local Policy Violation - blocked by Proofpoint Dynamic Reputation
policy||550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550 [abc.uk1]
content_refused||554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554 [MCSpamSignature.x.1]
unknown_mailbox||550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [x.us]
greylisted||451 Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451
low_reputation||550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs
dmarc_failed||550 DMARC Sender Invalid - envelope rejected - https://community.mimecast.com
unauthenticated||550 Rejected by Anti-Spoofing policy
malware||554 Virus Signature Detected - x
unknown_mailbox||550 permanent failure for one or more recipients (u@x.example:550 5.1.1 User unknown)
unexplained||554 permanent failure for one or more recipients (u@x.example:blocked)
blocklisted||554 Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1
content_refused||550 5.7.1 Message content rejected, UBE, id=1234
content_refused||554 rejected due to spam content
low_reputation||554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.
unknown_mailbox|5.1.0|550 5.1.0 Address rejected. u@x.example
unknown_mailbox||550 #5.1.0 Address rejected.
low_reputation||554 mx.example.net Your access to this mail system has been rejected due to poor reputation of a domain used in message transfer
rate_limited||452 #4.5.3 Too many recipients
rate_limited||421 #4.4.5 Too many connections from your host.
content_refused||553 Message filtered. Refer to the Troubleshooting page at http://www.symanteccloud.com/troubleshooting for more information. (#5.7.1)
policy||501 Connection rejected by policy [7.7] 10203, please visit www.messagelabs.com/support for more details about this error message.
spf_failed||553-SPF (Sender Policy Framework) domain authentication fail. Refer to the Troubleshooting page at http://www.symanteccloud.com/troubleshooting
unknown_mailbox||550-Invalid recipient u@x.example (#5.1.1)
blocklisted||550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Trend Micro Email Reputation Service. Please see http://www.mail-abuse.com/cgi-bin/lookup?ip_address=192.0.2.1
content_refused||554 5.7.1 This message has been blocked because it contains spam (SophosLabs)
content_refused||550 High probability of spam
content_refused||550-The mail server detected your message as spam and has prevented delivery.
policy||554 5.7.1 Message blocked by administrator rule
malware||550 5.7.1 Virus Found: Trojan.Gen
malware||554 5.7.1 Attachment type not allowed: exe
malware||552-5.7.0 Illegal Attachment
""",
    "Zimbra, Kerio, MDaemon, IMail, hMailServer, MailEnable, SurgeMail, Haraka, James, Stalwart, PowerMTA, Momentum, Domino, GroupWise": """
unknown_mailbox||550 5.1.1 User unknown; rejecting
mailbox_full|4.2.2|host lmtp said: 452 4.2.2 Over quota (in reply to end of DATA command)
mailbox_disabled||550 5.2.1 account unavailable zimbra: mail to u@x.example not accepted: account is not active
unknown_mailbox||550 5.1.1 Mailbox <u@x.example> does not exist
unknown_mailbox||550 Unknown user
unknown_mailbox||550 Recipient not in route list. hMailServer
mailbox_full||550 Inbox is full
unknown_mailbox||550-Mailbox unknown.  Either there is no mailbox associated with this name or you do not have authorization to see it.
relaying_denied||503 This mail server requires authentication when attempting to send to a non-local e-mail address. Please check your mail client settings or contact your administrator
unknown_mailbox||550 Requested action not taken: mailbox unavailable or not local
not_understood||503 Bad sequence of commands
unknown_mailbox||550 Recipient u@x.example is not known here
unknown_domain||550 The domain x.example doesn't exist. Could not find DNS info
unreachable||smtp;421 4.4.0 [internal] connection timed out
rate_limited||smtp;450 4.4.1 [internal] Connection to PMTA queue rate limited, backoff mode
unknown_domain||smtp;554 5.4.4 [internal] Domain Lookup Failed
unknown_domain||smtp;550 5.1.2 [internal] no such domain
unreachable||smtp;551 5.4.4 [internal] no MX or A hosts reachable
gave_up||smtp;500 5.4.7 [internal] exceeded max time without delivery
mailbox_full||smtp;554 5.4.7 [internal] message timeout (exceeded max time, last transfail: 450 4.2.2 mailbox full)
loop||User u (u@x.example) forwarding loop: Maximum hop count exceeded. Message probably in a routing loop.
unknown_mailbox|5.1.1|550 u... No such user in Domino Directory
unknown_mailbox||User not found in Domino Directory
mailbox_full||Error delivering to mail file mail\\/u.nsf; Cannot store document; database has exceeded its disk space quota
relaying_denied||Domino: 554 Relay rejected for policy reasons.
unreachable||Router: Unable to connect to SMTP host mx.example; server not responding
unknown_mailbox||The message could not be delivered because the recipient's address is not listed GroupWise: 550 d101 unknown user
mailbox_full||450 MAILBOX FULL (groupwise D10B)
server_fault||transport process failed; D715 GroupWise error
server_fault||550 Internal error: failed to run script
server_fault||550 mail backend failure: could not open database
""",
    "local delivery / LMTP / Dovecot / Cyrus / maildrop / procmail": """
mailbox_full|5.2.2|552 5.2.2 <u@x.example> Quota exceeded (mailbox for user is full)
unknown_mailbox|5.1.1|550 5.1.1 <u@x.example> User doesn't exist: u@x.example
server_fault|4.3.0|451 4.3.0 <u@x.example> Temporary internal error
unknown_mailbox|5.1.1|550-Mailbox unknown. 550 5.1.1 User unknown
mailbox_full|5.2.2|552 5.2.2 Over quota (cyrus)
mailbox_full||temporary failure. Command output: lda: Mailbox full; quota exceeded (dovecot)
mailbox_full||can't create user output file. Command output: maildrop: maildir over quota.
recipient_refuses|5.7.1|550 5.7.1 sieve: reject action: Do not want this mail
recipient_refuses||message rejected by sieve filter: not interested
bad_message|5.6.0|554 5.6.0 Message contains NUL characters
bad_message|5.6.0|554 5.6.0 Message contains invalid header
bad_message|5.6.0|554 5.6.0 Reject, id=1 - BAD_HEADER
malware||554 5.7.0 Reject, id=1 - INFECTED: EICAR
malware||554 5.7.0 Reject, id=1 - BANNED: exe
content_refused||554 5.7.0 Reject, id=1 - spam
""",
    "generic": """
mailbox_moved||551 User not local; please try <u2@y.example>
mailbox_moved||551 5.1.6 The recipient has moved to a new address, please update your records
mailbox_disabled||550 5.1.1 u is no longer employed here
mailbox_disabled||550 mailbox temporarily disabled
mailbox_disabled||550 The account has been suspended for inactivity
mailbox_disabled||550 extended inactivity new mail is not currently being accepted for this mailbox
mailbox_disabled||550 5.7.1 Recipient account is blocked
unknown_mailbox||550 Address not present in directory
unknown_mailbox||550 not a valid address
unknown_domain||550 unrouteable address: u
unknown_mailbox||553 5.3.0 <u@x.example>... No such user here
unknown_mailbox||550 invalid address
unknown_mailbox||550 5.1.1 RECIPIENT NOT FOUND
unknown_mailbox||550 <u@x.example>, Recipient unknown
unknown_mailbox||550 rejected: RCPT verification failed
unknown_mailbox||550 no thank you, no such person
unknown_mailbox||550 Sorry, we couldn't find that user
unknown_mailbox||550 Account does not exist
unknown_mailbox||550 user doesn't exist here
unknown_mailbox||550 The user you're trying to reach was not found
unknown_mailbox||550 bad recipient
unknown_mailbox||550 recipient not allowed
unknown_mailbox||550 5.1.1 Recipient rejected
unknown_mailbox||550 This user doesn't have a x.example account
unknown_mailbox||550 #5.1.1 bad address u@x.example
policy||550 5.7.1 Rejected
policy||554 5.7.1 Recipient reject policy
unexplained||554 Transaction failed
unexplained||550 Failed
unexplained||554 Error
spf_failed||550 SPF: 192.0.2.1 is not allowed to send mail from d.example
spf_failed||550 5.7.1 <n@d>: Sender address rejected: SPF record does not designate 192.0.2.1 as permitted sender
spf_failed||553 5.1.8 Please see http://www.openspf.org/Why?s=mfrom;id=n%40d
spf_failed||550 [SPF] 192.0.2.1 is not allowed to send mail
dkim_failed||550 5.7.20 No passing DKIM signature found
dkim_failed||550 DKIM signature verification failed
dmarc_failed||550 5.7.1 Email rejected per DMARC policy for d.example
unauthenticated|5.7.29|550 5.7.29 ARC validation failure
sender_refused|5.7.27|556 5.7.27 Sender address has null MX
rate_limited|4.7.28|450 4.7.28 mail flood detected
tls_failed|5.7.30|550 5.7.30 REQUIRETLS support required
tls_required||554 5.7.1 STARTTLS required for this domain
not_understood||500 5.5.1 unrecognized command
not_understood||504 5.5.4 Command parameter not implemented
not_understood||501 5.5.4 Invalid arguments
not_understood||421 4.7.0 Too many protocol errors
server_fault||550 5.3.5 internal configuration error
server_fault||451 4.3.5 Error: queue file write error
server_busy||431 4.3.1 mail system full
server_busy||452 4.3.1 disk full
server_busy||421 Service temporarily unavailable
too_big||552 5.2.3 Message is larger than the recipient may receive
too_big||550 5.3.4 attachment too large
too_big||550 the message exceeds the maximum size allowed by the recipient
mailbox_full||523 the message exceeds the recipient's mailbox size limit
needs_smtputf8||550 5.6.7 Non-ASCII addresses not permitted
needs_smtputf8||550 5.6.9 8bit headers not allowed
bad_message||554 5.6.1 Body type not supported by Remote Host
bad_message||550 Maximum line length exceeded (see RFC 5322 2.1.1)
bad_message||550 missing Message-ID header
bad_message||550 5.6.0 Lone CR or LF in body
bad_message||554 5.7.1 Header syntax error: From
recipient_refuses||550 5.7.1 You are not allowed to send to this mailing list
recipient_refuses||550 The recipient has blocked you
recipient_refuses||550 5.7.1 Sender is on the recipient's blocked list
recipient_refuses||550 5.7.1 Message rejected by the user's personal filter
recipient_refuses||550 Posting to this list is restricted to members
recipient_refuses||550 Mail from your country not wanted by recipient
""",
    "the recipient's fault is not assumed": """
policy||550 5.7.1 <u@x.example>: Recipient address rejected: Message rejected due to policy
low_reputation||521 5.2.1 : AOL will not accept delivery of this message.
sender_refused||550 5.1.0 <n@d.example> sender rejected
sender_refused||550 Sender address <n@d.example> does not exist
sender_refused||550 Invalid sender domain
sender_refused||553 5.1.7 <n@d>: Sender address rejected: unverified address
sender_refused||550 5.1.7 Sender mailbox does not exist
sender_refused||550 unknown sender
sender_refused||550-Sender verify failed 550 Unrouteable address
sender_refused||550 MAIL FROM domain has no valid MX
sender_refused||550 return path address does not exist
sender_refused||550 5.7.1 Sender not allowed
blocklisted||550 5.7.1 Mail from 192.0.2.1 has been rejected: your address is listed
blocklisted||554 5.7.1 The IP address [192.0.2.1] of your server was found in the DNS blacklist
blocklisted||550 Your mail server is on our local blacklist
blocklisted||550 rejected because 192.0.2.1 is in a black list at zen.spamhaus.org
blocklisted||550 5.7.1 192.0.2.1 has been blocked by Spamhaus
blocklisted||550 Domain d.example is blacklisted
blocklisted||571 Email from 192.0.2.1 is currently blocked by Verizon Online's anti-spam system
blocklisted||550 Sending IP blocked
blocklisted||554 Access denied - your host is blacklisted
low_reputation||550 5.7.1 Your message was rejected because your server has a poor reputation
low_reputation||554 5.7.1 Client host rejected: dynamic IP address
low_reputation||421 4.7.0 Your IP has sent too much spam
low_reputation||550 Mail from dynamic/residential IP addresses is not accepted
low_reputation||550 DUL: we don't accept mail from dialup hosts
no_reverse_dns||550 5.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]
no_reverse_dns||554 Your IP has no PTR
no_reverse_dns||550 Access denied, reverse DNS lookup failed
no_reverse_dns||450 4.7.25 Client host rejected: cannot find your hostname
no_reverse_dns||501 5.5.4 HELO requires a valid hostname
no_reverse_dns||550 Helo name contains an ip address
content_refused||550 5.7.1 Message rejected: contains spam-like URLs
content_refused||554 5.7.1 Message scored too high on spam scale
content_refused||550 blocked by content filter
content_refused||552 5.7.0 message content rejected due to suspected spam
content_refused||554 Message considered junk
content_refused||550 Your email contains a URL listed on SURBL
content_refused||550 5.7.1 Rejected by bayesian filter
content_refused||550 This message contains a URL listed in dbl.spamhaus.org
malware||550 5.7.1 Your message contains a dangerous attachment
malware||554 Executable attachments not permitted
malware||550 message contains malware (Win.Trojan)
malware||554 5.7.1 The file attachment was blocked
too_big||552 Message size exceeds maximum permitted
too_big||552 5.2.3 Your message size (12345 KB) exceeds the recipient's limit
too_big||554 message too large
too_big||550 Mail size limit exceeded
too_big||552 exceeded mailsize limit
too_big||552 maximum message length exceeded
rate_limited||450 4.7.1 You have sent too many messages; slow down
rate_limited||421 4.4.5 too many concurrent sessions
rate_limited||452 Too many recipients received this hour
rate_limited||450 You are sending too fast
rate_limited||451 rate limit exceeded
rate_limited||421 too many messages in this connection
rate_limited||452 4.5.3 Your message has too many recipients
rate_limited||550 Too many invalid recipients
greylisted||451 4.7.1 Please try again in 5 minutes
greylisted||450 4.7.1 Greylisting in effect, retry in 300 seconds
greylisted||451 You are not yet authorized to deliver mail here, try again in 60 seconds
mailbox_full||552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full
mailbox_full||550 5.2.2 over quota
mailbox_full||452 4.2.2 Mailbox full
mailbox_full||554 5.2.2 mailbox exceeded
mailbox_full||550 User has exceeded its storage quota
mailbox_full||550 The mailbox has reached its quota
mailbox_full||452 insufficient storage for this user
mailbox_full||422 The recipient's mailbox is over its storage limit
mailbox_full||552 5.3.1 User's disk quota exceeded
mailbox_full||550 mailbox for u@x.example is full
mailbox_full||422 user mailbox exceeds allowed size
mailbox_full||552 5.2.2 Message would exceed quota for <u@x.example>
mailbox_full||550 not enough space in mailbox
mailbox_full||550 recipient storage full, try again later
mailbox_disabled||550 5.2.1 Mailbox not active
mailbox_disabled||550 5.2.1 This account is temporarily unavailable
mailbox_disabled||554 5.2.1 The user has been suspended
mailbox_disabled||550 Account inactive
mailbox_disabled||550 The email account has been deactivated
mailbox_disabled||550 User account is expired
mailbox_disabled||550 The recipient's account was closed
mailbox_disabled||550 Mailbox is frozen
mailbox_disabled||550 user is locked
mailbox_disabled||550 User suspended
mailbox_disabled||550 This account is not allowed to receive mail
unknown_mailbox||550 5.1.1 sorry, no such user here
unknown_mailbox||550 u@x.example... User unknown, please check the address
unknown_mailbox||550 5.1.1 unknown or illegal alias: u@x.example
unknown_mailbox||511 5.1.1 the recipient address rejected here
unknown_mailbox||550 5.1.1 Address does not exist
unknown_mailbox||550 Non-existent email address
unknown_mailbox||550 user not local
unknown_mailbox||550 Invalid mailbox
unknown_mailbox||554 5.1.1 no such recipient
unknown_mailbox||553 VS10-RT Possible forgery or deactivated due to abuse (#5.1.1) user does not exist
unknown_mailbox||550 Mailbox u@x.example unknown
unknown_mailbox||550 No mailbox found
unknown_mailbox||550 Cuenta no existe
unknown_mailbox||550 user does not live here
unknown_mailbox||550 5.1.1 no mailbox by that name is currently available
unknown_mailbox||554 5.1.1 <u@x.example>: email address could not be found, or was misspelled
unknown_mailbox||550 5.1.1 <u@x.example>: Email address could not be found, or was misspelled (G8)
unknown_mailbox||550 5.4.1 no such address here
unknown_mailbox||550 Delivery is not allowed to this address, user unknown
unknown_mailbox||550 no user here by that name
unknown_mailbox||554 Recipient address is not valid
unknown_mailbox||550 5.1.1 is not a valid mailbox
unknown_mailbox||550 5.1.6 recipient does not exist
unknown_mailbox||450 recipient unknown
unknown_mailbox||550 This user was not found: u
unknown_domain||550 5.1.2 Host unknown
unknown_domain||550 x.example: domain not found
unknown_domain||512 5.1.2 bad destination system address
unknown_domain||Name server: x.example: host not found
unknown_domain||550 No MX record found for domain x.example
unknown_domain||The domain name x.example could not be resolved
unknown_domain||553 5.1.2 We weren't able to find the recipient domain. Please check for any spelling errors
unknown_domain||Unable to resolve domain x.example
unknown_domain||Domain x.example has no MX or A record
no_mail_domain||550 5.1.10 recipient address has null mx
no_mail_domain||521 5.3.2 host does not accept mail
no_mail_domain||550 This domain does not accept mail
relaying_denied||550 5.7.1 relaying not allowed
relaying_denied||553 5.7.1 Relaying to <u@x.example> denied (authentication required)
relaying_denied||550 5.7.1 you are not allowed to relay here
relaying_denied||554 5.7.1 Relay access denied; please authenticate
relaying_denied||551 we do not relay
relaying_denied||550 we do not accept mail for that domain
relaying_denied||550-You must authenticate before relaying
unreachable||421 4.4.1 unable to connect to destination
unreachable||SMTP connection timed out
unreachable||mx.x.example: connection reset by peer
unreachable||Connection to host failed; network unreachable
unreachable||No answer from host
unreachable||451 4.4.2 Timeout - closing connection
unreachable||DNS server returned SERVFAIL
unreachable||host x.example is not responding
gave_up||Delivery time expired
gave_up||message expired after 3 days
gave_up||I have been trying to deliver this for 5 days, giving up
gave_up||Exceeded maximum retry attempts
gave_up||Unable to deliver message after multiple retries, giving up.
loop||554 5.4.6 mail loop detected
loop||Mail loop: too many hops
loop||routing loop detected -- too many Received headers
server_fault||451 4.3.5 Server configuration problem
server_fault||554 5.3.0 internal software error
server_fault||550 5.3.5 System incorrectly configured
server_busy||421 Service not available, closing transmission channel
server_busy||451 4.3.2 Please try again later
server_busy||450 4.3.2 system not accepting network messages
server_busy||451 temporarily unable to process your request
server_busy||421 server too busy
server_busy||421 4.3.2 system shutting down
server_busy||451 Requested action aborted: local error in processing
server_busy||451 4.3.0 Mail server temporarily rejected message
spf_failed||550 5.7.1 SPF fail: 192.0.2.1 not permitted for d.example
spf_failed||550 5.7.23 SPF hard fail
spf_failed||554 5.7.1 domain owner discourages use of this host: SPF
dkim_failed||550 5.7.1 DKIM verification failed
dkim_failed||554 DKIM signature invalid
dmarc_failed||550 5.7.1 Rejected due to DMARC
dmarc_failed||550 5.7.26 message failed DMARC evaluation
unauthenticated||550 5.7.26 Email failed both SPF and DKIM
unauthenticated||550 message not authenticated
tls_required||530 5.7.0 Must issue STARTTLS first
tls_required||550 5.7.10 Encryption needed
login_required||530 Authentication required
recipient_refuses||550 5.7.1 Sender is not authorized to send to this recipient
recipient_refuses||550 Message rejected by recipient
recipient_refuses||550 recipient does not accept mail from you
recipient_refuses||550 5.7.1 user only accepts mail from known senders
recipient_refuses||554 5.7.1 the recipient has refused your mail
recipient_refuses||550 sender blacklisted by recipient
recipient_refuses||550 5.2.1 recipient blocks mail from n@d.example
bad_address||553 5.1.3 invalid address syntax
bad_address||501 5.1.3 Malformed recipient address
bad_address||553 mailbox name not allowed: contains illegal characters
bad_message||554 5.6.0 Malformed MIME
bad_message||550 5.6.0 mail contains bare LF
bad_message||550 Message headers fail syntax check
bad_message||550 5.7.1 header contains non-ASCII characters
bad_message||554 Missing Date header
policy||550 5.7.1 Message blocked due to policy
policy||550 Administrative prohibition
policy||571 Delivery not authorized, message refused
policy||554 5.7.1 delivery not permitted
quota_spent||550 5.4.5 Daily sending quota exceeded
quota_spent||454 4.7.0 You have exceeded your hourly sending limit
account_stopped||550 5.1.8 Access denied, bad outbound sender
unexplained||550 permanent failure
unexplained||Delivery failed
unexplained||550 Requested action not taken
unexplained||554 delivery error
unexplained||Undeliverable
""",
}  # fmt: skip


@pytest.mark.parametrize("system", REPLIES)
def test_what_a_system_writes_has_its_reason(system):
    wrong = []
    for row in REPLIES[system].strip().split("\n"):
        reason, status, text = row.split("|", 2)
        found = str(classify_report(text.replace("\\n", "\n"), status).reason)
        if found != reason:
            wrong.append((found, reason, text))
    assert wrong == []


# IANA's registry of enhanced status codes: the two numbers after the class, and what they say where nothing else speaks.
SUBCODES = {
    "unexplained": "0.0 1.0 1.5 1.9 2.0 3.6 5.0 7.9 7.14 7.19",
    "unknown_mailbox": "1.1",
    "unknown_domain": "1.2",
    "bad_address": "1.3 1.4",
    "mailbox_moved": "1.6",
    "sender_refused": "1.7 1.8 7.27",
    "no_mail_domain": "1.10",
    "mailbox_disabled": "2.1",
    "mailbox_full": "2.2",
    "too_big": "2.3 3.4 7.16",
    "server_fault": "2.4 3.3 3.5",
    "server_busy": "3.0 3.1 3.2 7.15",
    "unreachable": "4.0 4.1 4.2 4.3 4.4",
    "rate_limited": "4.5 5.3 7.28",
    "loop": "4.6",
    "gave_up": "4.7",
    "not_understood": "5.1 5.2 5.4 5.5 5.6",
    "bad_message": "6.0 6.1 6.2 6.3 6.4 6.5 6.6 7.7",
    "needs_smtputf8": "6.7 6.8 6.9 6.10",
    "policy": "7.0 7.1",
    "recipient_refuses": "7.2 7.12 7.13 7.17 7.18",
    "tls_failed": "7.3 7.4 7.5 7.6 7.30",
    "tls_required": "7.10 7.11",
    "login_failed": "7.8",
    "dkim_failed": "7.20 7.21 7.22",
    "spf_failed": "7.23 7.24",
    "no_reverse_dns": "7.25",
    "unauthenticated": "7.26 7.29",
}
CODES = {
    "server_busy": "421 450 451 454",
    "mailbox_full": "452 552",
    "not_understood": "455 501 502 503 504 555",
    "no_mail_domain": "521 556",
    "tls_required": "523 524 538",
    "login_failed": "525 534 535",
    "login_required": "530",
    "relaying_denied": "551",
    "unexplained": "500 550 553 554",
}


def test_every_registered_subcode_has_its_reason():
    wrong = []
    for reason, numbers in SUBCODES.items():
        for number in numbers.split():
            found = classify_report("", f"4.{number}")
            if (found.reason, found.suppress) != (reason, False):
                wrong.append((number, str(found.reason)))
    assert wrong == []


def test_every_code_has_its_reason_where_nothing_stands_by_it():
    wrong = []
    for reason, codes in CODES.items():
        for code in codes.split():
            found = str(classify_report(f"{code} x", "").reason)
            if found != reason:
                wrong.append((code, found))
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "550 5.7.1 Access denied",
        "550 Sender mailbox does not exist",
        "550 5.1.8 sender address rejected: domain not found",
        "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org; user unknown on this list",
        "550 Requested action not taken: mailbox unavailable (e.g., mailbox not found, no access)",
        "550 relay not permitted for unknown users",
        "521 5.2.1 : AOL will not accept delivery of this message.",
        "550 permanent failure",
        "552 message too big for the recipient",
    ],
)
def test_what_is_not_the_recipients_fault_suppresses_nobody(text):
    assert not classify_report(text, "5.0.0").suppress
