#!/usr/bin/env python3
"""An SSH server that lets one user in as its plan says, forwards, and tells what it saw.

    asyncssh_server.py PORT PLAN.json

The plan: `username`, `hostKey` (a file), and what is wanted of
  none               true: nobody has to prove anything
  password           the right one
  authorizedKeys     public keys that let in, as lines
  authorities        public keys whose certificates let in, as lines
  questions          rounds of keyboard-interactive prompts: [[[text, echo, answer], ...], ...]
  keyThenQuestions   a key alone is not enough: the questions come after it
  forwarding         "allow" (default), "deny", or "stall": never an answer
  abortFile          once there is a file of this name, all connections are cut, and no more taken
  kexAlgs, encryptionAlgs, rekeyBytes    as asyncssh has them

Every event is one line of JSON on stdout; the first is `listening`. `userauth` is the very first
request of a client's login, whatever its method.
"""

import asyncio
import json
import os
import sys

import asyncssh


def tell(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


class Visitor(asyncssh.SSHServer):
    """One client."""

    def __init__(self, plan):
        self.plan = plan
        self.key_passed = False
        self.round = 0

    def connection_made(self, conn):
        self.conn = conn
        self.grant = conn.send_userauth_success
        conn.send_userauth_success = self.grant_or_go_on
        tell("connected")

    def connection_lost(self, exc):
        tell("disconnected", reason=str(exc or ""))

    def begin_auth(self, username):
        tell("userauth", username=username)
        return not self.plan.get("none")

    async def grant_or_go_on(self):
        """asyncssh has one factor only: the first of two is made a partial success here."""
        if self.plan.get("keyThenQuestions") and not self.key_passed:
            self.key_passed = True
            self.conn.send_userauth_failure(True)
        else:
            await self.grant()

    def auth_completed(self):
        tell("login")

    # --- the methods: which there are, and who is right ---

    def public_key_auth_supported(self):
        keys = self.plan.get("authorizedKeys") or self.plan.get("authorities")
        return bool(keys) and not self.key_passed

    def validate_public_key(self, username, key):
        return self.is_among("authorizedKeys", "publickey", username, key)

    def validate_ca_key(self, username, key):
        return self.is_among("authorities", "certificate", username, key)

    def is_among(self, lines, method, username, key):
        tell("auth", method=method, username=username, fingerprint=key.get_fingerprint())
        known = map(asyncssh.import_public_key, self.plan.get(lines, []))
        return username == self.plan["username"] and key in known

    def password_auth_supported(self):
        return "password" in self.plan

    def validate_password(self, username, password):
        tell("auth", method="password", username=username)
        return (username, password) == (self.plan["username"], self.plan["password"])

    def kbdint_auth_supported(self):
        waits_for_key = self.plan.get("keyThenQuestions") and not self.key_passed
        return bool(self.plan.get("questions")) and not waits_for_key

    def get_kbdint_challenge(self, username, lang, submethods):
        tell("auth", method="keyboard-interactive", username=username)
        self.round = 0
        return self.ask()

    def ask(self):
        prompts = self.plan["questions"][self.round]
        return "A test", f"Round {self.round + 1}", "", [(text, echo) for text, echo, _ in prompts]

    def validate_kbdint_response(self, username, responses):
        right = [answer for _, _, answer in self.plan["questions"][self.round]]
        if username != self.plan["username"] or list(responses) != right:
            return False
        self.round += 1
        return self.ask() if self.round < len(self.plan["questions"]) else True

    # --- forwarding ---

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        connect = self.conn.forward_connection
        return self.open(f"{dest_host}:{dest_port}", lambda: connect(dest_host, dest_port))

    def unix_connection_requested(self, dest_path):
        return self.open(dest_path, lambda: self.conn.forward_unix_connection(dest_path))

    async def open(self, target, connect):
        forwarding = self.plan.get("forwarding", "allow")
        tell("channel-requested", target=target)
        if forwarding == "deny":
            code = asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
            raise asyncssh.ChannelOpenError(code, "this plan allows no forwarding")
        if forwarding == "stall":
            await asyncio.Event().wait()
        session = await connect()
        lost = session.connection_lost

        def connection_lost(exc):
            tell("channel-closed", target=target)
            lost(exc)

        session.connection_lost = connection_lost
        tell("channel-opened", target=target)
        return session


async def main(port, plan):
    choices = {"kex_algs": "kexAlgs", "encryption_algs": "encryptionAlgs", "rekey_bytes": "rekeyBytes"}
    options = {name: plan[field] for name, field in choices.items() if field in plan}
    visitors = []

    def receive():
        visitors.append(Visitor(plan))
        return visitors[-1]

    server = await asyncssh.create_server(
        receive, "127.0.0.1", port, server_host_keys=[plan["hostKey"]], **options
    )
    tell("listening", port=server.get_port())
    if file := plan.get("abortFile"):
        while not os.path.exists(file):
            await asyncio.sleep(0.05)
        # First: a client that lost its connection is back at once.
        server.close()
        for visitor in visitors:
            visitor.conn.abort()
    await server.wait_closed()


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        asyncio.run(main(int(sys.argv[1]), json.load(file)))
