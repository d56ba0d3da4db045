// Runs in the page before viser's own program: dark mode, keys, and browsers without WebGL.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const address = new URL(location.href);
  if (dark && !address.searchParams.has("darkMode")) {
    address.searchParams.set("darkMode", "");
    history.replaceState(null, "", address);
  }

  const explain = () => {
    const line = document.createElement("p");
    line.id = "inhand-no-webgl";
    line.setAttribute("role", "alert");
    line.textContent =
      "This browser cannot draw in three dimensions (WebGL 2 is missing or off), so the hand is " +
      "not shown: switch on hardware acceleration or use another browser; `inhand estop` and " +
      "`inhand status --watch` work in a terminal.";
    line.style.cssText =
      "position:fixed;z-index:10000;left:0;right:0;bottom:0;margin:0;padding:1em;" +
      "font:16px sans-serif;background:#b02a2a;color:white";
    document.body.append(line);
  };
  if (!document.createElement("canvas").getContext("webgl2")) {
    addEventListener("DOMContentLoaded", explain);
  }

  // Space holds and Escape stops wherever the focus is: a focused button or checkbox does not get
  // the space, and a text field does not keep the Escape for itself.
  const keys = { Space: " ", Escape: "Escape" };
  const others = ["checkbox", "radio", "range", "button", "submit", "color", "file"];
  const takesText = (element) =>
    element instanceof HTMLTextAreaElement ||
    (element instanceof HTMLInputElement && !others.includes(element.type));
  const take = (event) => {
    if (!event.isTrusted || !(event.code in keys)) return;
    if (event.code === "Space" && takesText(event.target)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "keydown" && !event.repeat) {
      const pressed = { key: keys[event.code], code: event.code, bubbles: true };
      document.documentElement.dispatchEvent(new KeyboardEvent("keydown", pressed));
    }
  };
  for (const type of ["keydown", "keyup"]) addEventListener(type, take, true);
})();
