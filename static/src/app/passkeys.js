// Says why a passkey could not be used: the library that asks for one tells the console alone.
import { announce } from "./toasts.js";

const BY_NAME = "Passkeys work only where this site is opened by its name over https, or as localhost.";
const WHY = {
  SecurityError: BY_NAME,
  NotAllowedError: "No passkey was given: it was canceled, none fits, or it took too long. Press again to try once more.",
  InvalidStateError: "This passkey is kept here already.",
};

export function passkeys() {
  document.addEventListener("allauth.error", (event) => {
    const { name, message } = event.detail.exception;
    event.preventDefault(); // the console need not say it as well
    announce(WHY[name] ?? (window.isSecureContext ? `The passkey could not be used: ${message}` : BY_NAME), "error");
  });
}
