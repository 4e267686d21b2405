"use strict";

/** Runs before the first paint: what the reader chose, or what the system says. */
(() => {
  const root = document.documentElement;
  const CHOICES = ["auto", "light", "dark"];

  function choice() {
    try {
      return CHOICES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto";
    } catch {
      return root.dataset.theme || "auto";
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = `Theme: ${theme}`;
      button.title = "Light, dark, or as the system has it";
    }
  }

  apply(choice());
  document.addEventListener("DOMContentLoaded", () => {
    apply(choice());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(root.dataset.theme) + 1) % CHOICES.length];
      try {
        localStorage.setItem("theme", next);
      } catch {
        // Without storage the choice lasts as long as the page.
      }
      apply(next);
    });
  });
})();
