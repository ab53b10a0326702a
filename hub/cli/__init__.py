"""`answerback-hub`: set-up, serving, checks and administration.

main             the commands
options          what the commands share
init             creates the files of a new hub; config_template: the text of its hub.toml
admin            administration beside a serving hub: tokens, people, revocation, the audit
audit            `audit`: verify, export, prove, key; audit_proof proofs, audit_bundle the verifier as one file,
                 audit_check what is wrong with its key and witnesses
doctor           what keeps this hub from working, and what to do
units            the systemd units of this installation; handover: the admin's profile to its person
backup           a hub in one file, and put back; backup_file: the form of that file; backup_commands: the commands
keys             the keys that seal the store; key_rotation: a new one, and an old one's end
ca               the hub's CA; ca_rotation: where it stands, the steps of its replacement, the way back
recover          after a restored backup: what is in doubt, and going on
people           `operator`; register: people of hub.toml and of the store, and what commands may change of them
logins           people's logins rotated and listed
machines         `agent` and `token`; fleet does their work; expiry: until when a certificate counts, in words;
                 approver_pins: whose keys stand in a join command
inlets           `inlet`; inlet_setup asks for what a platform needs, inlet_proof tries it, config_edit writes hub.toml;
                 inlet_record keeps what comes to it as fixtures
secret_commands  `rotate`, `secrets`, `retire` of inlets and models; rotation does their work
file_check       every file of the hub, and all that is wrong in them
policy           `policy`: check, test, diff, lint, learn; policy_check: verdicts on commands that do not run;
                 policy_test: a team's expectations; policy_diff: what another policy would change; policy_upgrade:
                 later default rules merged into an edited file; policy_learn: rules proposed from what was asked and
                 approved, policy_learn_command the command
models           the commands about model servers; model_report and model_trial do their work
"""
