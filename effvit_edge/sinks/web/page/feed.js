// Data as it comes, and pictures, while someone can see the page. A page in the background holds no
// connection: browsers allow six to one server, over all their tabs.

import { forUrl } from "./view.js";

const RETRY_MS = 5000;
const PICTURE_RETRY_MS = 1500;
const STILL_EVERY_MS = 1500;

/** Calls `onData` with each message, and `onLink` with "live", "ended", "lost" or "refused". */
export function openFeed(onData, onLink) {
  let stream = null;
  let retry = 0;
  let hasEnded = false;

  function close() {
    clearTimeout(retry);
    stream?.close();
    stream = null;
  }

  function open() {
    close();
    stream = new EventSource("/api/feed");
    stream.onopen = () => { hasEnded = false; onLink("live"); };
    stream.addEventListener("end", () => { hasEnded = true; });
    stream.onmessage = (message) => onData(JSON.parse(message.data));
    stream.onerror = () => {
      // Closed by the browser: the server answered, and not with data.
      const isRefused = stream?.readyState === EventSource.CLOSED;
      if (isRefused) retry = setTimeout(open, RETRY_MS);
      const otherwise = hasEnded ? "ended" : "lost";
      onLink(isRefused ? "refused" : otherwise);
    };
  }

  whileVisible(open, close);
}

/** Shows the moving picture of one source at a time in an image; calls `onPicture` at the first. */
export function openPicture(image, onPicture) {
  let source = null;
  let retry = 0;
  let isVisible = false;

  function close() {
    clearTimeout(retry);
    image.removeAttribute("src"); // ends the connection
  }

  function open() {
    close();
    if (source !== null && isVisible) image.src = pictureUrl("mjpg", source);
  }

  image.addEventListener("load", onPicture);
  image.addEventListener("error", () => {
    clearTimeout(retry);
    retry = setTimeout(open, PICTURE_RETRY_MS);
  });
  whileVisible(
    () => { isVisible = true; open(); },
    () => { isVisible = false; close(); },
  );
  return {
    show(name) {
      if (name === source) return;
      source = name;
      open();
    },
    renew: open, // browsers do not tell when moving pictures have come to their end
  };
}

/** Renews stills one after another, so that they never hold more than one connection. */
export function openStills(imagesBySource) {
  let round = 0; // which one goes on; a number, so that an older one that waits notices its end

  async function renew() {
    const mine = ++round;
    while (mine === round) {
      for (const [source, image] of imagesBySource()) await loadStill(source, image);
      await new Promise((done) => setTimeout(done, STILL_EVERY_MS));
    }
  }

  whileVisible(renew, () => { round += 1; });
}

function loadStill(source, image) {
  return new Promise((done) => {
    const next = new Image();
    next.onload = () => { image.src = next.src; done(); };
    next.onerror = done;
    next.src = pictureUrl("jpg", source);
  });
}

// Another address each time: a page may be given an image again that it has shown already, without
// any request, whatever the headers say.
function pictureUrl(kind, source) {
  return `/picture.${kind}?source=${forUrl(source)}&at=${Date.now()}`;
}

function whileVisible(start, stop) {
  const follow = () => (document.hidden ? stop() : start());
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => { if (event.persisted) start(); });
  follow();
}
