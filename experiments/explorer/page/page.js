// The page: the explorer over HTTP, with its state in the address.

import explorer from "./explorer.js";
import { httpModel } from "./http_model.js";

const place = {
  read: () => location.hash,
  write: (text) => history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search),
  listen: (onchange) => addEventListener("hashchange", () => onchange(location.hash)),
};

explorer.render({
  model: httpModel(new URL("api/message", document.baseURI)),
  el: document.querySelector("#explorer"),
  place,
  keyTarget: document,
});
