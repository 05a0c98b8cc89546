"""Bounces are read in thirty tongues and their charsets: in Exchange's HTML, and in the words of any server."""

import pytest

from mailops.protocol.feedback_mail import describe, read

EXCHANGE = [  # tongue, subject, the line above the recipient, the line below, reason
 ("de","Unzustellbar: Hallo","Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:","Die eingegebene E-Mail-Adresse konnte nicht gefunden werden. Überprüfen Sie die E-Mail-Adresse des Empfängers, und versuchen Sie, die Nachricht erneut zu senden.","unknown_mailbox"),
 ("fr","Non remis : Bonjour","Échec de la remise pour ces destinataires ou groupes :","L'adresse de messagerie que vous avez entrée est introuvable. Vérifiez l'adresse de messagerie du destinataire et réessayez d'envoyer le message.","unknown_mailbox"),
 ("es","No se puede entregar: Hola","Error de entrega a estos destinatarios o grupos:","No se encontró la dirección de correo electrónico que especificó. Compruebe la dirección de correo electrónico del destinatario e intente reenviar el mensaje.","unknown_mailbox"),
 ("it","Non recapitabile: Ciao","Recapito non riuscito per i seguenti destinatari o gruppi:","L'indirizzo di posta elettronica immesso non è stato trovato. Controllare l'indirizzo di posta elettronica del destinatario e provare a inviare nuovamente il messaggio.","unknown_mailbox"),
 ("pt","Não é possível entregar: Olá","Falha na entrega a estes destinatários ou grupos:","O endereço de email inserido não foi encontrado. Verifique o endereço de email do destinatário e tente reenviar a mensagem.","unknown_mailbox"),
 ("nl","Onbestelbaar: Hallo","Bezorging is mislukt voor deze geadresseerden of groepen:","Het e-mailadres dat u hebt ingevoerd, is niet gevonden. Controleer het e-mailadres van de geadresseerde en probeer het bericht opnieuw te verzenden.","unknown_mailbox"),
 ("pl","Niedostarczalne: Cześć","Dostarczenie do tych adresatów lub grup nie powiodło się:","Nie można odnaleźć wprowadzonego adresu e-mail. Sprawdź adres e-mail adresata i spróbuj ponownie wysłać wiadomość.","unknown_mailbox"),
 ("sv","Kan inte levereras: Hej","Det gick inte att leverera meddelandet till följande mottagare eller grupper:","Det gick inte att hitta e-postadressen du angav. Kontrollera mottagarens e-postadress och försök att skicka meddelandet igen.","unknown_mailbox"),
 ("fi","Toimitus epäonnistui: Hei","Toimittaminen näille vastaanottajille tai ryhmille epäonnistui:","Antamaasi sähköpostiosoitetta ei löydy. Tarkista vastaanottajan sähköpostiosoite ja yritä lähettää viesti uudelleen.","unknown_mailbox"),
 ("da","Kan ikke leveres: Hej","Levering mislykkedes til disse modtagere eller grupper:","Den mailadresse, du har angivet, blev ikke fundet. Kontrollér modtagerens mailadresse, og prøv at sende meddelelsen igen.","unknown_mailbox"),
 ("no","Kan ikke leveres: Hei","Levering til disse mottakerne eller gruppene mislyktes:","Finner ikke e-postadressen du skrev inn. Kontroller mottakerens e-postadresse og prøv å sende meldingen på nytt.","unknown_mailbox"),
 ("cs","Nedoručitelné: Ahoj","Doručení následujícím příjemcům nebo skupinám se nezdařilo:","Zadanou e-mailovou adresu se nepodařilo najít. Zkontrolujte e-mailovou adresu příjemce a zkuste zprávu odeslat znovu.","unknown_mailbox"),
 ("tr","Teslim Edilemedi: Merhaba","Şu alıcılara veya gruplara teslim edilemedi:","Girdiğiniz e-posta adresi bulunamadı. Lütfen alıcının e-posta adresini denetleyin ve iletiyi yeniden göndermeyi deneyin.","unknown_mailbox"),
 ("ru","Недоставлено: Привет","Сбой доставки следующим получателям или группам:","Введенный адрес электронной почты не найден. Проверьте адрес электронной почты получателя и повторите попытку отправки сообщения.","unknown_mailbox"),
 ("ja","配信不能: こんにちは","次の受信者またはグループへの配信に失敗しました:","入力した電子メール アドレスが見つかりませんでした。受信者の電子メール アドレスを確認して、メッセージを再送信してください。","unknown_mailbox"),
 ("zh","未送达: 你好","未能向这些收件人或组传递邮件:","找不到您输入的电子邮件地址。请检查收件人的电子邮件地址，然后尝试重新发送此邮件。","unknown_mailbox"),
 ("zh-tw","無法傳遞: 你好","傳遞至下列收件者或群組時失敗:","找不到您輸入的電子郵件地址。請檢查收件者的電子郵件地址，並嘗試重新傳送郵件。","unknown_mailbox"),
 ("ko","배달되지 않음: 안녕","다음 받는 사람 또는 그룹에 배달하지 못했습니다.","입력한 전자 메일 주소를 찾을 수 없습니다. 받는 사람의 전자 메일 주소를 확인하고 메시지를 다시 보내 보세요.","unknown_mailbox"),
 ("ar","تعذر التسليم: مرحبا","فشل التسليم إلى هؤلاء المستلمين أو المجموعات:","تعذر العثور على عنوان البريد الإلكتروني الذي أدخلته. يرجى التحقق من عنوان البريد الإلكتروني للمستلم.","unknown_mailbox"),
 ("he","לא ניתן למסור: שלום","המסירה לנמענים או לקבוצות הבאים נכשלה:","כתובת הדואר האלקטרוני שהזנת לא נמצאה. בדוק את כתובת הדואר האלקטרוני של הנמען.","unknown_mailbox"),
 ("el","Αδυναμία παράδοσης: Γεια","Η παράδοση σε αυτούς τους παραλήπτες ή ομάδες απέτυχε:","Δεν ήταν δυνατή η εύρεση της διεύθυνσης ηλεκτρονικού ταχυδρομείου που εισαγάγατε.","unknown_mailbox"),
 ("hu","Kézbesíthetetlen: Szia","Nem sikerült kézbesíteni a következő címzetteknek vagy csoportoknak:","A megadott e-mail-cím nem található. Ellenőrizze a címzett e-mail-címét.","unknown_mailbox"),
 ("ro","Imposibil de livrat: Salut","Livrarea a eșuat pentru acești destinatari sau aceste grupuri:","Adresa de e-mail introdusă nu a fost găsită. Verificați adresa de e-mail a destinatarului.","unknown_mailbox"),
 ("uk","Не доставлено: Привіт","Помилка доставки наступним одержувачам або групам:","Введену адресу електронної пошти не знайдено. Перевірте адресу електронної пошти одержувача.","unknown_mailbox"),
 ("th","ส่งไม่สำเร็จ: สวัสดี","การส่งไปยังผู้รับหรือกลุ่มเหล่านี้ล้มเหลว:","ไม่พบที่อยู่อีเมลที่คุณป้อน โปรดตรวจสอบที่อยู่อีเมลของผู้รับ","unknown_mailbox"),
 ("vi","Không thể gửi: Xin chào","Gửi đến những người nhận hoặc nhóm này không thành công:","Không tìm thấy địa chỉ email bạn đã nhập. Vui lòng kiểm tra địa chỉ email của người nhận.","unknown_mailbox"),
 ("id","Tidak Terkirim: Halo","Pengiriman gagal ke penerima atau grup berikut:","Alamat email yang Anda masukkan tidak dapat ditemukan. Periksa alamat email penerima.","unknown_mailbox"),

]  # fmt: skip
PLAIN = [  # tongue and case, charset, subject, text, reason
 ("de full","iso-8859-1","Mail delivery failed","Ihre Nachricht an user@rcpt.example konnte nicht zugestellt werden: Mailbox ist voll.","mailbox_full"),
 ("de full2","utf-8","Unzustellbar","Empfänger: user@rcpt.example\nDas Postfach des Empfängers hat seine Speichergrenze überschritten.","mailbox_full"),
 ("de unk","utf-8","Unzustellbar","Empfänger: user@rcpt.example\nDer Empfänger ist auf diesem Server nicht bekannt.","unknown_mailbox"),
 ("de size","utf-8","Unzustellbar","Empfänger: user@rcpt.example\nDie Nachricht ist größer als zulässig.","too_big"),
 ("de disabled","utf-8","Unzustellbar","Empfänger: user@rcpt.example\nDieses E-Mail-Konto wurde geschlossen.","mailbox_disabled"),
 ("fr full","iso-8859-1","Echec de la remise","Le message à user@rcpt.example n'a pas pu être remis : la boîte aux lettres du destinataire est pleine.","mailbox_full"),
 ("fr unk","utf-8","Message non distribué","user@rcpt.example : cet utilisateur n'existe pas.","unknown_mailbox"),
 ("es full","utf-8","Error de entrega","user@rcpt.example: el buzón de correo ha excedido su límite de almacenamiento.","mailbox_full"),
 ("es unk","utf-8","Error de entrega","user@rcpt.example: el usuario no existe.","unknown_mailbox"),
 ("it full","utf-8","Mancato recapito","user@rcpt.example: la casella del destinatario è piena.","mailbox_full"),
 ("it unk","utf-8","Mancato recapito","user@rcpt.example: utente inesistente.","unknown_mailbox"),
 ("pt full","iso-8859-1","Falha na entrega","user@rcpt.example: a caixa postal do destinatário está cheia.","mailbox_full"),
 ("pt unk","utf-8","Falha na entrega","user@rcpt.example: o usuário não foi encontrado.","unknown_mailbox"),
 ("nl full","utf-8","Onbestelbaar","user@rcpt.example: de mailbox van de ontvanger is vol.","mailbox_full"),
 ("nl unk","utf-8","Onbestelbaar","user@rcpt.example: dit e-mailadres bestaat niet.","unknown_mailbox"),
 ("pl full","iso-8859-2","Zwrot poczty","user@rcpt.example: skrzynka odbiorcy jest przepełniona.","mailbox_full"),
 ("pl unk","utf-8","Zwrot poczty","user@rcpt.example: nie ma takiego użytkownika.","unknown_mailbox"),
 ("cs full","utf-8","Nedoručená zpráva","user@rcpt.example: schránka příjemce je plná.","mailbox_full"),
 ("cs unk","iso-8859-2","Nedoručená zpráva","user@rcpt.example: uživatel neexistuje.","unknown_mailbox"),
 ("sk full","utf-8","Nedoručiteľné","user@rcpt.example: schránka je preplnená.","mailbox_full"),
 ("sk unk","utf-8","Nedoručiteľné","user@rcpt.example: používateľ neexistuje.","unknown_mailbox"),
 ("hu full","utf-8","Kézbesíthetetlen","user@rcpt.example: a postafiók megtelt.","mailbox_full"),
 ("hu unk","utf-8","Kézbesíthetetlen","user@rcpt.example: ismeretlen felhasználó.","unknown_mailbox"),
 ("ro full","utf-8","Nelivrat","user@rcpt.example: căsuța poștală este plină.","mailbox_full"),
 ("sv full","utf-8","Ej levererat","user@rcpt.example: mottagarens inkorg är full.","mailbox_full"),
 ("sv unk","utf-8","Ej levererat","user@rcpt.example: adressen finns inte.","unknown_mailbox"),
 ("no full","utf-8","Ikke levert","user@rcpt.example: postboksen er full.","mailbox_full"),
 ("da full","utf-8","Ikke leveret","user@rcpt.example: modtagerens postkasse er fyldt.","mailbox_full"),
 ("fi full","utf-8","Toimitus epäonnistui","user@rcpt.example: vastaanottajan postilaatikko on täynnä.","mailbox_full"),
 ("fi unk","utf-8","Toimitus epäonnistui","user@rcpt.example: tuntematon vastaanottaja.","unknown_mailbox"),
 ("et full","utf-8","Undeliverable","user@rcpt.example: postkast on täis.","mailbox_full"),
 ("lv full","utf-8","Undeliverable","user@rcpt.example: pastkaste ir pilna.","mailbox_full"),
 ("lt full","utf-8","Undeliverable","user@rcpt.example: pašto dėžutė perpildyta.","mailbox_full"),
 ("tr full","iso-8859-9","Teslim edilemedi","user@rcpt.example: alıcının posta kutusu dolu.","mailbox_full"),
 ("tr unk","utf-8","Teslim edilemedi","user@rcpt.example: böyle bir kullanıcı yok.","unknown_mailbox"),
 ("ru full","koi8-r","Mail failure","user@rcpt.example: почтовый ящик получателя переполнен.","mailbox_full"),
 ("ru unk","windows-1251","Mail failure","user@rcpt.example: такого пользователя не существует.","unknown_mailbox"),
 ("ru unk2","koi8-r","Mail failure","user@rcpt.example: пользователь не зарегистрирован.","unknown_mailbox"),
 ("uk full","utf-8","Не доставлено","user@rcpt.example: поштова скринька переповнена.","mailbox_full"),
 ("bg full","utf-8","Undeliverable","user@rcpt.example: пощенската кутия е пълна.","mailbox_full"),
 ("sr full","utf-8","Undeliverable","user@rcpt.example: poštansko sanduče je puno.","mailbox_full"),
 ("hr unk","utf-8","Undeliverable","user@rcpt.example: korisnik ne postoji.","unknown_mailbox"),
 ("el full","iso-8859-7","Undeliverable","user@rcpt.example: το γραμματοκιβώτιο του παραλήπτη είναι γεμάτο.","mailbox_full"),
 ("el unk","utf-8","Undeliverable","user@rcpt.example: ο χρήστης δεν υπάρχει.","unknown_mailbox"),
 ("ja full","iso-2022-jp","Mail failure","宛先: user@rcpt.example\n受信者のメールボックスの容量が一杯です。","mailbox_full"),
 ("ja full2","shift_jis","Mail failure","宛先: user@rcpt.example\nメールボックスの容量制限を超えています。","mailbox_full"),
 ("ja unk","euc-jp","Mail failure","宛先: user@rcpt.example\n該当するユーザーはおりません。","unknown_mailbox"),
 ("ja unk2","iso-2022-jp","Mail failure","<user@rcpt.example> このメールアドレスは現在使われておりません。","unknown_mailbox"),
 ("zh full","gb2312","退信","收件人：user@rcpt.example\n对方邮箱空间已满。","mailbox_full"),
 ("zh unk","gbk","系统退信","收件人：user@rcpt.example\n收件人邮箱地址有误或不存在。","unknown_mailbox"),
 ("zh-tw full","big5","退信通知","收件者：user@rcpt.example\n收件者信箱空間已滿。","mailbox_full"),
 ("zh-tw unk","big5","退信通知","收件者：user@rcpt.example\n無此收件人。","unknown_mailbox"),
 ("ko full","euc-kr","반송","받는 사람: user@rcpt.example\n수신자의 메일함이 꽉 찼습니다.","mailbox_full"),
 ("ko full2","utf-8","반송","받는 사람: user@rcpt.example\n메일 저장 용량이 부족합니다.","mailbox_full"),
 ("ko unk","euc-kr","반송","받는 사람: user@rcpt.example\n해당 사용자가 없습니다.","unknown_mailbox"),
 ("ar full","utf-8","فشل التسليم","user@rcpt.example: علبة بريد المستلم ممتلئة.","mailbox_full"),
 ("ar unk","windows-1256","Undeliverable","user@rcpt.example: المستخدم غير موجود.","unknown_mailbox"),
 ("fa unk","utf-8","Undeliverable","user@rcpt.example: کاربر وجود ندارد.","unknown_mailbox"),
 ("he full","utf-8","Undeliverable","user@rcpt.example: תיבת הדואר של הנמען מלאה.","mailbox_full"),
 ("he unk","windows-1255","Undeliverable","user@rcpt.example: המשתמש אינו קיים.","unknown_mailbox"),
 ("th full","tis-620","Undeliverable","user@rcpt.example: กล่องจดหมายของผู้รับเต็ม","mailbox_full"),
 ("th unk","utf-8","Undeliverable","user@rcpt.example: ไม่พบผู้ใช้นี้","unknown_mailbox"),
 ("vi full","utf-8","Undeliverable","user@rcpt.example: hộp thư của người nhận đã đầy.","mailbox_full"),
 ("vi unk","utf-8","Undeliverable","user@rcpt.example: người dùng không tồn tại.","unknown_mailbox"),
 ("id full","utf-8","Undeliverable","user@rcpt.example: kotak surat penerima penuh.","mailbox_full"),
 ("ms unk","utf-8","Undeliverable","user@rcpt.example: pengguna tidak wujud.","unknown_mailbox"),
 ("hi unk","utf-8","Undeliverable","user@rcpt.example: उपयोगकर्ता मौजूद नहीं है।","unknown_mailbox"),
 ("ca full","utf-8","Undeliverable","user@rcpt.example: la bústia del destinatari és plena.","mailbox_full"),

    ("mailbox_full 0", "utf-8", "Undeliverable", "<user@rcpt.example>: La cassetta postale del destinatario è piena.", "mailbox_full"),
    ("mailbox_full 1", "utf-8", "Undeliverable", "<user@rcpt.example>: Mottagarens postlåda är full.", "mailbox_full"),
    ("too_big 0", "utf-8", "Undeliverable", "<user@rcpt.example>: El mensaje es demasiado grande.", "too_big"),
    ("too_big 1", "utf-8", "Undeliverable", "<user@rcpt.example>: Сообщение слишком большое.", "too_big"),
    ("recipient_refuses 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Sie sind nicht berechtigt, an diesen Empfänger zu senden.", "recipient_refuses"),
    ("recipient_refuses 1", "utf-8", "Undeliverable", "<user@rcpt.example>: Vous n'avez pas l'autorisation d'envoyer à ce destinataire.", "recipient_refuses"),
    ("recipient_refuses 2", "utf-8", "Undeliverable", "<user@rcpt.example>: 您无权向此收件人发送邮件。", "recipient_refuses"),
    ("content_refused 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Ihre Nachricht wurde als Spam eingestuft.", "content_refused"),
    ("content_refused 1", "utf-8", "Undeliverable", "<user@rcpt.example>: スパムと判定されました。", "content_refused"),
    ("mailbox_disabled 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Le compte a été désactivé.", "mailbox_disabled"),
    ("mailbox_disabled 1", "utf-8", "Undeliverable", "<user@rcpt.example>: Учетная запись пользователя отключена.", "mailbox_disabled"),
    ("unknown_domain 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Die Domain existiert nicht.", "unknown_domain"),
    ("unknown_domain 1", "utf-8", "Undeliverable", "<user@rcpt.example>: 域名不存在", "unknown_domain"),
    ("sender_refused 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Absender unbekannt", "sender_refused"),
    ("sender_refused 1", "utf-8", "Undeliverable", "<user@rcpt.example>: 发件人不存在", "sender_refused"),
    ("gave_up 0", "utf-8", "Undeliverable", "<user@rcpt.example>: Die Zustellung wurde nach mehreren Versuchen abgebrochen.", "gave_up"),
]  # fmt: skip


def told(text, *, subject, charset="utf-8", kind="plain"):
    head = (
        f"From: postmaster@rcpt.example\nTo: news@sender.example\nSubject: {subject}\nMIME-Version: 1.0\n"
        f"Content-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    )
    found = describe(read(head.encode() + text.encode(charset)))
    return found["type"], [(one["recipient"], one["reason"]) for one in found["recipients"]]


def test_what_exchange_says_in_any_tongue_is_understood():
    wrong = []
    for tongue, subject, above, below, reason in EXCHANGE:
        html = f"<p>{above}</p><p><a href='mailto:user@rcpt.example'>user@rcpt.example</a><br>{below}</p>"
        found = told(html, subject=subject, kind="html")
        if found != ("bounce", [("user@rcpt.example", reason)]):
            wrong.append((tongue, found))
    assert wrong == []


def test_what_servers_say_in_any_tongue_and_charset_is_understood():
    wrong = []
    for case, charset, subject, text, reason in PLAIN:
        found = told(text, subject=subject, charset=charset)
        if found != ("bounce", [("user@rcpt.example", reason)]):
            wrong.append((case, found))
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "Please contact the hotel on Saturday; the users of this challenge were told.",
        "The message was queued at the destination.",
    ],
)
def test_english_is_not_taken_for_another_tongue(text):
    assert told(f"<user@rcpt.example>: {text}", subject="Undelivered mail")[1] == [
        ("user@rcpt.example", "unexplained")
    ]
