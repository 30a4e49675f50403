/* Each figure of the gallery is as high as it says, and as light or dark as the page that it is in. */
(function () {
  "use strict";

  const frames = () => [...document.querySelectorAll("iframe.figure-frame")];
  const theme = () => {
    const chosen = document.body.dataset.theme;
    return chosen === "light" || chosen === "dark" ? chosen : "auto";
  };
  const tell = (frame) => frame.contentWindow.postMessage({ pushforwardTheme: theme() }, "*");

  window.addEventListener("message", ({ source, data }) => {
    const frame = frames().find((one) => one.contentWindow === source);
    if (!frame || !data || !Number.isFinite(data.pushforwardHeight)) return;
    frame.style.height = `${Math.ceil(data.pushforwardHeight)}px`;
    tell(frame);
  });
  new MutationObserver(() => frames().forEach(tell)).observe(document.body, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
})();
