"use strict";
// Answers for a passkey: asks the browser, puts its answer into the form, sends the form. What to ask for, and what to
// say, stands in the form's attributes; bytes are base64url there and in the form.
(() => {
  const form = document.getElementById("passkey");
  const button = document.getElementById("answer");
  const said = document.getElementById("said");
  const ask = JSON.parse(form.dataset.ask);
  const say = (what) => { said.textContent = form.dataset[what]; };
  const toBytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => list.map((one) => ({ ...one, id: toBytes(one.id) }));
  const put = (name, value) => {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  };

  const create = async () => {
    const publicKey = {
      ...ask,
      challenge: toBytes(ask.challenge),
      user: { ...ask.user, id: toBytes(ask.user.id) },
      excludeCredentials: named(ask.excludeCredentials),
    };
    const made = (await navigator.credentials.create({ publicKey })).response;
    return { client_data: made.clientDataJSON, authenticator_data: made.getAuthenticatorData() };
  };
  const get = async () => {
    const publicKey = {
      ...ask,
      challenge: toBytes(ask.challenge),
      allowCredentials: named(ask.allowCredentials),
    };
    const given = await navigator.credentials.get({ publicKey });
    return {
      credential: given.rawId,
      client_data: given.response.clientDataJSON,
      authenticator_data: given.response.authenticatorData,
      signature: given.response.signature,
    };
  };

  const known = window.PublicKeyCredential && navigator.credentials;
  if (!known || (ask.user && !("getAuthenticatorData" in AuthenticatorAttestationResponse.prototype))) {
    say("unable");
    return;
  }
  button.hidden = false;
  const answer = async () => {
    button.disabled = true;
    say("wait");
    try {
      const answered = await (ask.user ? create() : get());
      for (const [name, buffer] of Object.entries(answered)) put(name, toText(buffer));
    } catch (error) {
      say(error.name === "InvalidStateError" ? "known" : "failed");
      button.disabled = false;
      return;
    }
    put("act", form.dataset.act);
    form.submit();
  };
  button.addEventListener("click", answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!button.disabled) answer();
  });
})();
