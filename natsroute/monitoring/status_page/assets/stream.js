// The connection to natsroute: server-sent events, and what to do when they stop.

/** Seconds after which a refused connection is tried again. */
const RETRY = 10;
/** Seconds without any event after which a connection counts as dead. */
const SILENCE = 15;

/**
 * Stays connected.
 *
 * @param {object} on called with what arrives: overview(object), failure(string), page(string).
 */
export function connect(url, on) {
  let source = null;
  let heard = Date.now();
  let retry = null;

  function open() {
    retry = null;
    heard = Date.now();
    source?.close();
    source = new EventSource(url);
    for (const name of ["overview", "failure", "page"]) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      // A connection that is lost is opened again by the browser, one that is refused is not.
      if (source.readyState === EventSource.CLOSED) retry ??= setTimeout(open, RETRY * 1000);
    });
  }

  open();
  setInterval(() => {
    if (retry === null && Date.now() - heard > SILENCE * 1000) open();
  }, 1000);
}
