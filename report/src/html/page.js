// The page as a whole: its colours, and what is folded.
(() => {
  "use strict";
  const root = document.documentElement;

  // A browser may refuse to keep anything for a file.
  const kept = () => { try { return localStorage.getItem("tierscope-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("tierscope-theme", theme); } catch { /* not kept */ } };

  const bar = document.querySelector(".switch");
  const paint = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const button of bar.children) {
      button.setAttribute("aria-pressed", String(button.dataset.theme === theme));
    }
  };
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const theme = event.target.dataset.theme;
    if (!theme) return;
    keep(theme);
    paint(theme);
  });
  paint(["light", "dark"].includes(kept()) ? kept() : "auto");

  // A link into something folded unfolds it.
  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();

  // Findings are printed whole.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.case:not([open])")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });
})();
