// What every page has beyond plain HTML. Each page works without it.
import { confirmFirst } from "./app/confirm.js";
import { copyButtons } from "./app/copy.js";
import { keepFocus } from "./app/focus.js";
import { goToMistake, sendOnce } from "./app/forms.js";
import { leaveNoPageBehind } from "./app/leaving.js";
import { palette } from "./app/palette.js";
import { passkeys } from "./app/passkeys.js";
import { shortcuts } from "./app/shortcuts.js";
import { currentTabInSight } from "./app/tabs.js";
import { themeToggle } from "./app/theme.js";
import { freshTimes } from "./app/times.js";
import { toasts } from "./app/toasts.js";
import { freshTokens, handOnToken } from "./app/tokens.js";
import { waitForReaders } from "./app/waiting.js";

leaveNoPageBehind();
themeToggle();
copyButtons();
freshTokens(); // before those who tell of refusals
handOnToken();
toasts();
passkeys();
freshTimes();
currentTabInSight();
sendOnce();
goToMistake();
keepFocus();
confirmFirst();
waitForReaders();
shortcuts(palette());
