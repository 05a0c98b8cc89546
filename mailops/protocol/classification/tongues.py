"""How servers say the commonest reasons in other languages than English; each row is one reason, each string one tongue.

Spaces stand for a few letters of anything but the end of a sentence, so that articles and names may stand between.
"""

import re

from mailops.protocol.classification.folding import fold_letters
from mailops.protocol.classification.meanings import Reason

_GAP = r"[^.!?。\n]{0,40}?"


def _pattern(*tongues: str) -> re.Pattern[str]:
    phrases = [phrase.strip() for tongue in tongues for phrase in tongue.split("|")]
    return re.compile(
        "|".join(re.escape(fold_letters(one)).replace(r"\ ", _GAP) for one in phrases)
    )


# Read from the top; the first that fits decides. What says little stands last.
TONGUES: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.MAILBOX_FULL,
        _pattern(
            "postfach voll|postfach überfüllt|speicherplatz erschöpft|kontingent überschritten|quota überschritten|speicher voll",
            "boîte pleine|boite aux lettres pleine|quota dépassé|quota atteint|messagerie pleine|espace insuffisant",
            "buzón lleno|cuota excedida|cuota superada|excedido cuota|buzón está lleno|sin espacio|espacio insuficiente|bandeja llena",
            "casella piena|spazio esaurito|quota superata|casella di posta piena",
            "caixa cheia|caixa postal lotada|caixa de entrada lotada|cota excedida|quota excedida|espaço insuficiente",
            "postvak vol|postbus vol|mailbox vol|quotum overschreden",
            "skrzynka pełna|skrzynka przepełniona|przekroczony limit skrzynki|schránka plná|schránka je plná|megtelt|postafiók tele",
            "brevlådan full|postkassen er full|postkassen er fuld|indbakken fuld|täynnä",
            "ящик переполнен|ящик полон|превышена квота|квота превышена|переполнен|скринька переповнена",
            "kutusu dolu|kotası doldu|kota aşıldı|πλήρες|γεμάτο|căsuța plină",
            "邮箱已满|信箱已满|信箱已滿|郵箱已滿|空间不足|空間不足|容量不足|容量已满|容量已滿|超出配额",
            "容量超過|容量を超|容量オーバー|メールボックスがいっぱい|受信箱がいっぱい|満杯",
            "용량 초과|용량이 초과|편지함이 가득|메일함 용량|편지함 용량",
            "صندوق ممتلئ|ممتلئ|תיבה מלאה|התיבה מלאה|hộp thư đầy|kotak penuh|กล่องจดหมายเต็ม",
        ),
    ),
    (
        Reason.TOO_BIG,
        _pattern(
            "nachricht zu groß|zu gross|größe überschritten|message trop volumineux|trop gros|taille dépassée",
            "mensaje demasiado grande|tamaño excedido|supera tamaño|messaggio troppo grande|dimensione superata",
            "mensagem muito grande|tamanho excedido|bericht te groot|wiadomość za duża|слишком большое|слишком велик",
            "邮件过大|邮件太大|郵件太大|超过大小|サイズが大きすぎ|サイズ超過|サイズを超|크기 초과|크기가 초과",
        ),
    ),
    (
        Reason.UNKNOWN_DOMAIN,
        _pattern(
            "domain existiert nicht|domäne existiert nicht|domain nicht gefunden|domäne nicht gefunden|domain unbekannt",
            "domaine inconnu|domaine n'existe pas|domaine introuvable|domaine inexistant",
            "dominio no existe|dominio inexistente|dominio no encontrado|dominio non trovato|dominio sconosciuto|dominio non esiste",
            "domínio não existe|domínio inexistente|domínio não encontrado|domein bestaat niet|domein niet gevonden",
            "domena nie istnieje|doména neexistuje|домен не найден|домен не существует|неизвестный домен",
            "域名不存在|找不到域名|域名错误|网域不存在|網域不存在|ドメインが見つかりません|ドメインが存在しません|ドメインは存在しません|도메인을 찾을 수 없|도메인이 존재하지",
        ),
    ),
    (
        Reason.MAILBOX_DISABLED,
        _pattern(
            "konto deaktiviert|postfach deaktiviert|konto gesperrt|postfach gesperrt|konto inaktiv|nicht mehr aktiv",
            "compte désactivé|boîte désactivée|compte suspendu|compte inactif|adresse désactivée|compte bloqué",
            "cuenta desactivada|cuenta deshabilitada|cuenta suspendida|buzón deshabilitado|buzón desactivado|usuario inactivo|cuenta inactiva",
            "account disabilitato|casella disabilitata|casella disattivata|account sospeso|utente disabilitato",
            "conta desativada|conta suspensa|conta inativa|conta bloqueada|caixa desativada|usuário inativo",
            "account uitgeschakeld|geblokkeerd account|konto zablokowane|konto nieaktywne|účet zablokován",
            "ящик заблокирован|ящик отключен|аккаунт заблокирован|пользователь заблокирован|учетная запись отключена|деактивирован",
            "帐号已停用|账号已停用|帳號已停用|邮箱已停用|账户已被禁用|帐户已被禁用|邮箱被禁用|被冻结|已冻结|利用停止|使用停止|無効になって|휴면|사용 중지|정지된 계정",
        ),
    ),
    (
        Reason.UNKNOWN_MAILBOX,
        _pattern(
            "benutzer unbekannt|empfänger unbekannt|unbekannter benutzer|unbekannter empfänger|adresse unbekannt|existiert nicht|nicht vorhanden|benutzer nicht gefunden|empfänger nicht gefunden|adresse nicht gefunden|adresse wurde nicht gefunden|kein solcher benutzer|kein postfach|ungültige empfänger|ungültiger empfänger|ungültige adresse",
            "utilisateur inconnu|destinataire inconnu|adresse inconnue|n'existe pas|adresse introuvable|destinataire introuvable|adresse inexistante|boîte inexistante|compte inexistant|adresse invalide|destinataire invalide|utilisateur introuvable|pas été trouvée",
            "usuario desconocido|destinatario desconocido|usuario no existe|cuenta no existe|buzón no existe|dirección no existe|no existe|usuario inexistente|dirección inexistente|dirección no encontrada|usuario no encontrado|no se ha encontrado|no se encontró|destinatario inválido|dirección inválida",
            "utente sconosciuto|destinatario sconosciuto|utente inesistente|casella inesistente|indirizzo inesistente|non esiste|indirizzo non trovato|utente non trovato|destinatario non valido|indirizzo sconosciuto",
            "usuário desconhecido|destinatário desconhecido|usuário inexistente|não existe|conta inexistente|caixa inexistente|endereço inexistente|não encontrado|não foi encontrado|destinatário inválido|utilizador desconhecido|endereço inválido",
            "gebruiker onbekend|onbekende gebruiker|bestaat niet|niet gevonden|adres onbekend|onbekend adres|geen gebruiker",
            "nieznany użytkownik|użytkownik nie istnieje|adres nie istnieje|konto nie istnieje|nie istnieje|nie ma takiego|nieznany adresat|nie znaleziono",
            "neexistuje|neznámý uživatel|uživatel nenalezen|nebyl nalezen|nem létezik|ismeretlen|nu există|utilizator necunoscut",
            "okänd användare|okänd mottagare|finns inte|hittades inte|ukjent bruker|ukjent mottaker|finnes ikke|ukendt bruger|findes ikke|ikke fundet|tuntematon|ei löydy|ei löytynyt|ei ole olemassa",
            "пользователь не найден|пользователь не существует|не существует|нет такого пользователя|нет такого ящика|неизвестный пользователь|получатель не найден|адрес не найден|неверный адрес|неизвестный получатель|ящик не найден|недействительный получатель|не найден получатель|не існує|не знайдено",
            "kullanıcı bulunamadı|bilinmeyen kullanıcı|mevcut değil|adres bulunamadı|alıcı bulunamadı|άγνωστος|δεν υπάρχει|δεν βρέθηκε",
            "用户不存在|收件人不存在|邮箱不存在|邮件地址不存在|帐号不存在|账号不存在|地址不存在|不存在该用户|无此用户|没有这个用户|找不到收件人|找不到用户|收件人地址不存在|收件人邮箱地址不存在|未知用户|使用者不存在|收件者不存在|信箱不存在|查無此人|無此使用者|找不到收件者|无效的收件人",
            "宛先不明|ユーザーが存在しません|ユーザが存在しません|ユーザーは存在しません|アドレスが存在しません|アドレスは存在しません|存在しない|存在しません|見つかりません|見つかりませんでした|宛先が不明|宛先に誤り|あて先不明|無効なアドレス",
            "존재하지 않는|존재하지 않습니다|없는 사용자|없는 계정|없는 주소|찾을 수 없|수신자를 찾을|알 수 없는 사용자",
            "غير موجود|لا يوجد|غير معروف|לא קיים|לא נמצא|אינו קיים|không tồn tại|không tìm thấy|tidak ditemukan|tidak ada|tidak dikenal|ไม่พบ|ไม่มีผู้ใช้|मौजूद नहीं|नहीं मिला",
        ),
    ),
    (
        Reason.BLOCKLISTED,
        _pattern(
            "auf der sperrliste|schwarze liste|schwarzen liste|liste noire|lista negra|lista nera|zwarte lijst|czarna lista|czarnej liście|черный список|черном списке|чёрном списке|黑名单|黑名單|ブラックリスト|블랙리스트",
        ),
    ),
    (
        Reason.CONTENT_REFUSED,
        _pattern(
            "als spam|spam-verdacht|spamverdacht|comme spam|comme indésirable|courrier indésirable|pourriel|como spam|correo no deseado|posta indesiderata|come spam|é spam|lixo eletrônico|als ongewenst|jako spam|za spam",
            "спам|нежелательн|垃圾邮件|垃圾郵件|迷惑メール|スパム|스팸|istenmeyen|spam olarak|ανεπιθύμητ",
        ),
    ),
    (
        Reason.UNREACHABLE,
        _pattern(
            "verbindung abgelehnt|verbindung fehlgeschlagen|nicht erreichbar|zeitüberschreitung|connexion refusée|délai dépassé|injoignable|conexión rechazada|tiempo de espera|connessione rifiutata|conexão recusada|tempo esgotado",
            "verbinding geweigerd|соединение не установлено|превышено время|连接超时|连接失败|连接被拒绝|無法連線|无法连接|接続できません|タイムアウト|연결할 수 없|응답하지 않",
        ),
    ),
)

# What says little: read only where nothing else does.
LOOSE_TONGUES: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.POLICY,
        _pattern(
            "richtlinie verletzt|richtlinien|aus richtlinien|durch richtlinie|politique de sécurité|raisons de sécurité|règle de sécurité|política de|políticas de|por política|motivi di sicurezza|politica di|beleid|polityka bezpieczeństwa|политик",
            "策略拒绝|安全策略|被拒收|拒收|拒绝接收|被拒绝|拒絕接收|ポリシー|受信を拒否|受信拒否|정책|수신 거부|수신거부",
        ),
    ),
)
