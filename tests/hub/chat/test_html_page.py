"""What the hub's own pages have in common; the script is run by node, where there is one, with a page of stubs."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from hub.chat.html_page import HEADERS, SCRIPT, data_attributes, page
from hub.core.passkeys import creation_options, request_options

STUBS = """
const given = JSON.parse(process.argv[1]);
const hex = (buffer) => Buffer.from(buffer).toString("hex");
const buffer = (text) => Uint8Array.from(Buffer.from(text, "hex")).buffer;
const element = () => ({ listeners: {}, hidden: true, disabled: false, textContent: "",
  addEventListener(kind, run) { this.listeners[kind] = run; } });
const sent = [];
const form = { ...element(), dataset: given.dataset, fields: [],
  append(field) { this.fields.push([field.type, field.name, field.value]); },
  submit() { sent.push(this.fields); } };
const button = element(), said = element(), asked = [];
const shown = (options) => JSON.parse(JSON.stringify(options, (key, value) =>
  value instanceof Uint8Array ? "hex:" + hex(value) : value));
const answer = (options) => {
  asked.push(shown(options));
  if (given.fails) return Promise.reject(Object.assign(new Error("no"), { name: given.fails }));
  const parts = Object.fromEntries(Object.entries(given.response).map(([name, text]) => [name, buffer(text)]));
  return Promise.resolve({ rawId: buffer(given.rawId),
    response: { ...parts, getAuthenticatorData: () => parts.authenticatorData } });
};
class AuthenticatorAttestationResponse {}
if (!given.old) AuthenticatorAttestationResponse.prototype.getAuthenticatorData = () => null;
globalThis.AuthenticatorAttestationResponse = AuthenticatorAttestationResponse;
globalThis.window = given.none ? {} : { PublicKeyCredential: {} };
Object.defineProperty(globalThis, "navigator", { value: { credentials: { get: answer, create: answer } } });
globalThis.document = {
  getElementById: (id) => ({ passkey: form, answer: button, said })[id],
  createElement: () => ({}),
};
eval(given.script);
const prevented = [];
const done = async () => {
  if (button.listeners.click && !given.enter) await button.listeners.click();
  if (given.enter) await form.listeners.submit({ preventDefault: () => prevented.push(1) });
  await new Promise((go) => setImmediate(go));
  console.log(JSON.stringify({ asked, sent, said: said.textContent, hidden: button.hidden,
    disabled: button.disabled, prevented: prevented.length }));
};
done();
"""
ASK = request_options("https://hub.example", b"\xfb\xff" * 16, ["-_8", "AAAA"])
MAKE = creation_options("bob", "https://hub.example", b"c" * 32, "h", ["AAAA"])
TEXTS = {"act": "approve", "unable": "UNABLE", "failed": "FAILED", "wait": "WAIT", "known": "KNOWN"}
GIVEN = {
    "rawId": "fbff00",
    "response": {"clientDataJSON": "7b7d", "authenticatorData": "00" * 37, "signature": "3e3f3e3f"},
}
node = pytest.mark.skipif(shutil.which("node") is None, reason="no node here to run the script")


def run_script(ask: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {**GIVEN, "script": SCRIPT, "dataset": {**TEXTS, "ask": json.dumps(ask)}, **more}
    done = subprocess.run(
        ["node", "-e", STUBS, json.dumps(given)], capture_output=True, text=True, timeout=60, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@node
def test_the_script_asks_for_a_signature_and_sends_it() -> None:
    """Bytes as bytes to the browser and as base64url to the hub; the act only beside them."""
    told = run_script(ASK)
    (options,) = told["asked"]
    asked = options["publicKey"]
    assert asked["challenge"] == "hex:" + "fbff" * 16
    assert [one["id"] for one in asked["allowCredentials"]] == ["hex:fbff", "hex:000000"]
    assert (asked["rpId"], asked["userVerification"]) == ("hub.example", "required")
    (fields,) = told["sent"]
    assert fields == [
        ["hidden", "credential", "-_8A"],
        ["hidden", "client_data", "e30"],
        ["hidden", "authenticator_data", "A" * 50],
        ["hidden", "signature", "Pj8-Pw"],
        ["hidden", "act", "approve"],
    ]


@node
def test_the_script_makes_a_passkey() -> None:
    """With all that the hub asks for; without a signature, of which there is none."""
    told = run_script(MAKE)
    (options,) = told["asked"]
    asked = options["publicKey"]
    assert asked["user"]["id"].startswith("hex:")
    assert [one["id"] for one in asked["excludeCredentials"]] == ["hex:000000"]
    assert asked["attestation"] == "none"
    (fields,) = told["sent"]
    assert [name for _, name, _ in fields] == ["client_data", "authenticator_data", "act"]


@node
def test_what_fails_sends_nothing_and_says_so() -> None:
    """Called off, known already, a browser without passkeys, or with an older form of them."""
    told = run_script(ASK, fails="NotAllowedError")
    assert (told["sent"], told["said"], told["disabled"], told["hidden"]) == ([], "FAILED", False, False)
    told = run_script(MAKE, fails="InvalidStateError")
    assert (told["sent"], told["said"]) == ([], "KNOWN")
    for ask, more in ((ASK, {"none": True}), (MAKE, {"none": True}), (MAKE, {"old": True})):
        told = run_script(ask, **more)
        assert (told["asked"], told["sent"], told["said"], told["hidden"]) == ([], [], "UNABLE", True)
    assert run_script(ASK, old=True)["said"] == "WAIT"


@node
def test_the_enter_key_in_the_code_s_field_signs_too() -> None:
    """Never the form alone, without what was signed."""
    told = run_script(ASK, enter=True)
    assert told["prevented"] == 1
    (fields,) = told["sent"]
    assert fields[-1][1] == "act"


def test_a_page_without_the_script_lets_none_run() -> None:
    """Trust: nothing runs or loads that the page's policy does not name by hash."""
    plain, scripted = page("en", "<p>x</p>"), page("en", "<p>x</p>", script=True)
    assert "script-src" not in HEADERS["Content-Security-Policy"]
    assert plain.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    assert b"<script" not in bytes(plain.body)
    assert bytes(scripted.body).count(b"<script") == 1
    assert "</script" not in SCRIPT
    assert data_attributes({"ask": "\"<&'>"}) == ' data-ask="&quot;&lt;&amp;&#x27;&gt;"'
