/** Light or dark: as the system says, until the switch says otherwise. */

const KEY = "ophclip.theme";
const THEMES = ["system", "light", "dark"];

const stored = () => THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "system";
const apply = () => document.documentElement.setAttribute("data-theme", stored());

/** Let a button step through the themes. @param {HTMLButtonElement} button */
export function switchWith(button) {
  const label = () => (button.textContent = `Theme: ${stored()}`);
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, THEMES[(THEMES.indexOf(stored()) + 1) % THEMES.length]);
    apply();
    label();
  });
  label();
}

apply();
