"""How an app of Slack is set up, as `answerback-hub inlet add` tells it."""

from __future__ import annotations

from typing import Final

from hub.chat.platforms.base import Setup

SETUP: Final[Setup] = (
    (
        "At api.slack.com/apps: Create New App, From scratch, and choose the workspace.",
        "在 api.slack.com/apps：Create New App，From scratch，选择工作区。",
    ),
    (
        "Where Slack is to post to the hub: Basic Information, App Credentials: copy the Signing Secret into "
        "secret_file.",
        "若由 Slack 推送到 hub：在 Basic Information，App Credentials 把 Signing Secret 写入 secret_file。",
    ),
    (
        "Where the hub is to ask Slack, and no port need be open: Basic Information, App-Level Tokens: generate one "
        "with connections:write and copy it (xapp-…) into app_token_file; then Socket Mode: on. No secret_file and "
        "no Request URL is needed below.",
        "若由 hub 主动连接 Slack（无需开放端口）：在 Basic Information，App-Level Tokens 生成带 connections:write 的 "
        "token（xapp-…）并写入 app_token_file；然后在 Socket Mode 页开启。不需要 secret_file，"
        "下面也不需要 Request URL。",
    ),
    (
        "OAuth & Permissions, Bot Token Scopes: app_mentions:read, channels:history, groups:history, im:history, "
        "files:read, chat:write, files:write, commands.",
        "OAuth & Permissions，Bot Token Scopes：app_mentions:read、channels:history、groups:history、im:history、"
        "files:read、chat:write、files:write、commands。",
    ),
    (
        "Install to Workspace, and copy the Bot User OAuth Token (xoxb-…) into token_file. Start the hub.",
        "Install to Workspace，把 Bot User OAuth Token（xoxb-…）写入 token_file，然后启动 hub。",
    ),
    (
        "Event Subscriptions: on, Request URL {url}, bot events app_mention, message.channels, message.groups, "
        "message.im.",
        "Event Subscriptions：开启，Request URL 填 {url}，bot events 选 app_mention、message.channels、"
        "message.groups、message.im。",
    ),
    (
        "Interactivity & Shortcuts: on, Request URL {url}. Slash Commands: /answerback, Request URL {url}.",
        "Interactivity & Shortcuts：开启，Request URL 填 {url}。Slash Commands：/answerback，Request URL 填 {url}。",
    ),
    (
        "App Home: allow messages in the Messages tab. In a channel: /invite @answerback",
        "App Home：允许在 Messages 页发消息。在频道中：/invite @answerback",
    ),
)
