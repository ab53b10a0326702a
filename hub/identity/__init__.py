"""The identities that the hub knows: people, agents, their certificates and second factors, its own keys.

people        people of hub.toml and of the store, their roles, their chat names
agents        the registry of agents: state, labels, vitals, which are online
certificates  enrolment tokens, certificates, renewal, revocation
logins        people's logins rotated: the old one holds until the new one is used
chat_links    links of chat users to people by command, and the codes that people link themselves with
totp          second factors: RFC 6238 codes, single use, rate limited
recovery_codes
              what stands in for one where the telephone is lost
authorities   the hub's CA on disk, or two while one replaces the other; ca_steps the steps as transactions
keys          the hub's keys and certificate on disk; audit_keys the key that signs the audit; key_files creates them
key_ring      where the sealing keys come from: a file, a systemd credential, a command
secret_times  since when secrets of inlets and models hold, and their last uses, in the store
marks         seals the positions that machines are told
"""
