"""Chat platforms: one file each, one small interface (`base`), no I/O.

base        the interface: verify, parse, render; and the message and reply that all platforms share
outbound    the interface of outbound modes: the hub asks the platform for news
code_form   a form for a second factor's code, where a chat has such: slack_form, discord_form
privacy     who sees what is said, and how words are taken away again; telegram_removal: how Telegram does it
deadlines   which platforms tell until when a request waits, by each reader's own clock
pictures    the interface of pictures that a platform only names, which are fetched after the commit
uploads     the interface of posting files; multipart: forms with a file
fields      objects, strings and ids in parsed bodies, and the answers of chats' APIs
registry    finds the platforms: the modules here that have a PLATFORM, and files of people's own
matrix      Matrix: matrix_sync the outbound mode, matrix_events what events say
generic     X-Signature over the body
standard    Standard Webhooks 1.0.0
mattermost  Mattermost: outgoing webhooks, slash commands, clicks, cards; mattermost_fields, mattermost_text: its bodies
            and its markdown; mattermost_config: its keys and set-up; mattermost_socket: its outbound mode
slack       Slack: events, slash commands, clicks, cards; slack_events what it delivers, slack_text its text,
            slack_setup how an app is set up; slack_socket: Socket Mode, its outbound mode
discord     Discord: slash commands and buttons, and messages; discord_interaction, discord_message: them as messages of
            ours; discord_gateway: the gateway, its outbound mode
telegram    Telegram's Bot API; telegram_update: its updates as messages, telegram_poll: asking for them
teams       Microsoft Teams: an outgoing webhook, and a workflow for the answers
wecom       a self-built app of WeCom; wecom_crypto, wecom_xml, wecom_text: its envelope, the XML in it, its texts;
            wecom_config: its keys and set-up; wecom_bot, wecom_socket: an AI bot, and its long connection
dingtalk    a robot of DingTalk; dingtalk_text, dingtalk_event: its messages and texts, its event subscription;
            dingtalk_socket: Stream, its outbound mode
feishu      an app of Feishu or Lark; feishu_sign, feishu_event, feishu_card: its envelope, its events, its cards;
            feishu_socket, feishu_frame: the long connection, its outbound mode, and the frames on it

slack_files, telegram_files, discord_files, mattermost_files, feishu_files, dingtalk_files, wecom_files
            the pictures in their messages, and how they are fetched
slack_upload, telegram_upload, discord_upload, mattermost_upload, matrix_upload, feishu_upload, wecom_upload
            how a file is posted there

callback_crypto is the encryption that wecom and dingtalk share.
"""
