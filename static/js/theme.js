// Runs before the first paint (a classic script in <head>), so that no page flashes in the wrong theme.
(() => {
  const root = document.documentElement;
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    root.dataset.bsTheme = read("theme") ?? (dark.matches ? "dark" : "light");
    root.dataset.palette = read("palette") ?? "green-red";
    document.dispatchEvent(new CustomEvent("themechange"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply); // another tab chose
  window.binnacleTheme = {
    choose(key, value) {
      try {
        localStorage.setItem(key, value);
      } catch {
        root.dataset[key === "theme" ? "bsTheme" : "palette"] = value; // for this page at least
        return document.dispatchEvent(new CustomEvent("themechange"));
      }
      return apply();
    },
  };
})();
