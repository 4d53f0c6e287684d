// Calls of the service, its key, and its refusals in words for people.

import { find } from "./format.js";

const API = "../api/v1/iqa";
const RETRIES = 5;

const SENTENCES = {
  invalid_image: "This file is damaged or incomplete. Save or download it again, then choose it once more.",
  unsupported_format: "This is not a picture that can be read here. JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF and BMP can.",
  size_mismatch: "The two pictures differ in size. Resize one of them, so that width and height are the same.",
  upload_too_large: "This file is larger than the service takes.",
  too_many_pixels: "This picture has more pixels than the service takes.",
  overloaded: "The service is busy. Try again in a moment.",
  out_of_memory: "The service has no room for a picture of this size at the moment. Try again, or a smaller one.",
  backend_unavailable: "The service cannot compute scores at the moment. Try again in a moment.",
  deadline_exceeded: "This took too long. Try again, or a smaller picture.",
};

// Why there is no score. `code` is the service's own name for the reason.
export class Refusal extends Error {
  constructor(code, detail) {
    super(SENTENCES[code] ?? detail);
    this.code = code;
  }
}

// The error of a batch's entry, which is "code: sentence".
export function refusalOf(error) {
  const [, code, detail] = /^([a-z_]+): (.*)$/s.exec(error) ?? [null, "", error];
  return new Refusal(code, detail);
}

// Where the service asks for a key, so does the page, once for each tab.
function authorization() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

let asked = null;

function askForKey() {
  asked ??= new Promise((answer) => {
    const form = find("key-form");
    form.hidden = false;
    find("key").focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem("key", find("key").value);
      form.hidden = true;
      form.reset();
      asked = null;
      answer();
    }, { once: true });
  });
  return asked;
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// Asks the service, again while it is busy and when it wants a key. Throws a Refusal.
export async function ask(path, { fields, accept, signal } = {}) {
  let body;
  if (fields) {
    body = new FormData();
    for (const [name, value] of fields) body.append(name, value);
  }
  for (let attempt = 1; ; attempt++) {
    let response;
    const headers = { ...(accept && { Accept: accept }), ...authorization() };
    try {
      response = await fetch(`${API}/${path}`, { method: body ? "POST" : "GET", body, headers, signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refusal("", "The service cannot be reached. Check that it runs, then choose again.");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      // Another call may have asked in the meantime.
      if (authorization().Authorization === headers.Authorization) await askForKey();
      signal?.throwIfAborted();
      continue;
    }
    if (response.status !== 503 || attempt === RETRIES) {
      const problem = await response.json().catch(() => ({}));
      throw new Refusal(problem.code, problem.detail ?? `The service answered with status ${response.status}.`);
    }
    await pause(Number(response.headers.get("Retry-After")) || 1);
    signal?.throwIfAborted();
  }
}
