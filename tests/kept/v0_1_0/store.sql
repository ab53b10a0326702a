BEGIN TRANSACTION;
CREATE TABLE agents (
	name TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	state TEXT NOT NULL, 
	joined_at DOUBLE NOT NULL, 
	generation BIGINT NOT NULL, 
	last_seen DOUBLE, 
	version TEXT NOT NULL, 
	journal TEXT NOT NULL, 
	boot TEXT NOT NULL, 
	facts TEXT, 
	paused_at DOUBLE, 
	paused_by TEXT NOT NULL, 
	pause_reason TEXT NOT NULL, paused_until DOUBLE, drain_at DOUBLE, drain_by TEXT DEFAULT '' NOT NULL, drain_jobs BIGINT DEFAULT '0' NOT NULL, drain_cancel_at DOUBLE, 
	CONSTRAINT pk_agents PRIMARY KEY (name), 
	CONSTRAINT ck_agents_generation CHECK (generation >= 0), 
	CONSTRAINT ck_agents_state CHECK (state IN ('active', 'locked', 'revoked'))
);
INSERT INTO "agents" VALUES('web-1','{"role":"web"}','active',1.79605097314736485486e+09,1,1.79605098190787935258e+09,'0.1.0','5e68bd22a848faf09ba42674b0b1d3e3','7cb9e08f-2945-479b-8218-5a07d11e3bf1','{"arch":"x86_64","boot":"7cb9e08f-2945-479b-8218-5a07d11e3bf1","cpus":"2","hostname":"vm","kernel":"6.18.44-fc-v657","memory":"25276510208","os":"Debian GNU/Linux 12 (bookworm)","python":"3.11.7"}',1.7960509806403985024e+09,'alice','kept',NULL,NULL,'',0,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE approvals (
	request_id TEXT NOT NULL, 
	plan_hash TEXT NOT NULL, 
	person TEXT NOT NULL, 
	granted BOOLEAN NOT NULL, 
	via TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	reason TEXT NOT NULL, 
	second_factor BOOLEAN NOT NULL, nonce TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_approvals PRIMARY KEY (request_id, person), 
	CONSTRAINT fk_approvals_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
);
INSERT INTO "approvals" VALUES('01M8PFNZ0AT1S9P51T860K41CR','bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62','alice',1,'console',1.79605097871938824659e+09,'',0,'');
CREATE TABLE checkpoints (
	seq INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	signature BLOB NOT NULL, 
	"key" TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_checkpoints PRIMARY KEY (seq)
);
INSERT INTO "checkpoints" VALUES(7,'90bc695879ffdae300e0234eb165676818d2794ef501122c3fc1851dbde5981f',X'00EC78E18086550685AB58CBEC3CE4EF33CF6C95099AF6E0F219D30419CD01CE444A531EBC0952CBDEAAC028659E2B3940961B1AF705E2CB0CA851645DE3E103','cebe766871ea45fb',1.79605097681543660168e+09);
CREATE TABLE credentials (
	fingerprint TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	issued_at DOUBLE NOT NULL, 
	not_after DOUBLE NOT NULL, 
	revoked_at DOUBLE, 
	key_hash TEXT NOT NULL, 
	CONSTRAINT pk_credentials PRIMARY KEY (fingerprint), 
	CONSTRAINT ck_credentials_kind CHECK (kind IN ('agent', 'operator'))
);
INSERT INTO "credentials" VALUES('7579b8cd8dc2cfd2d09a434b80122365b4025f24f3c5144a40029b07598b207e','operator','alice',1,1.79605094926675653461e+09,1796655749.0,NULL,'8d6e7733cc1b800f8f9a0d956780649b361020ace21246e2955559c8b88eea69');
INSERT INTO "credentials" VALUES('946ed463fc2b4c0d59dd6e3b15b1ca35aed084ed92f1be61414b4c21a39c8159','agent','web-1',1,1.79605097314736485486e+09,1796137373.0,NULL,'573d4ffb36a63e57733c61cde9164427663b3781c92c9e837311f70de23b96df');
CREATE TABLE drafts (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	request_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	body TEXT NOT NULL, 
	state TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	decided_by TEXT NOT NULL, 
	decided_at DOUBLE, 
	reason TEXT NOT NULL, 
	CONSTRAINT ck_drafts_state CHECK (state IN ('accepted', 'proposed', 'rejected')), 
	CONSTRAINT fk_drafts_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	data TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (seq)
);
INSERT INTO "events" VALUES(1,1.79605094926675653461e+09,'hub.created','hub-8cb589','terminal','{"admin":"alice"}','0000000000000000000000000000000000000000000000000000000000000000','b1c516093aacc80ed7b7b244607da76b8ba6da1ec579536e6e6f404dc7bb22c6');
INSERT INTO "events" VALUES(2,1.79605096673193669314e+09,'hub.started','hub-8cb589','hub','{"epoch":1}','b1c516093aacc80ed7b7b244607da76b8ba6da1ec579536e6e6f404dc7bb22c6','3169272c980d6917c6eccf7d192d95e71e28d31b770f409c6f2539569aafee77');
INSERT INTO "events" VALUES(3,1.79605097093549561501e+09,'token.made','web-1','terminal','{"expires_at":1796051570.9354956,"kind":"agent","labels":{"role":"web"}}','3169272c980d6917c6eccf7d192d95e71e28d31b770f409c6f2539569aafee77','97c2a0bf83374a3756611b5c20531e19f80fe44d69380443c44c010e40c87f9f');
INSERT INTO "events" VALUES(4,1.79605097314736485486e+09,'agent.joined','web-1','web-1','{"fingerprint":"946ed463fc2b4c0d59dd6e3b15b1ca35aed084ed92f1be61414b4c21a39c8159","invited_by":"terminal","kind":"agent"}','97c2a0bf83374a3756611b5c20531e19f80fe44d69380443c44c010e40c87f9f','76ce4c6691658f6ed9403133043e3edc891ec436a6e73a0fbf49074220bcbb4f');
INSERT INTO "events" VALUES(5,1.79605097574882936481e+09,'agent.reported','web-1','web-1','{"open":0,"wanted":0}','76ce4c6691658f6ed9403133043e3edc891ec436a6e73a0fbf49074220bcbb4f','96dcb449987e814427616e58c12e74eb87124ea2c44e09c1cac71684f8506e49');
INSERT INTO "events" VALUES(6,1.79605097575488543513e+09,'message.accepted','01M8PFNZ0AT1S9P51T860K41CR','carol','{"conversation":"ops","event":"m-3c773fcf3ff2825a","images":0,"inlet":"ops","number":1,"text":"@web-1 touch-it","user":"carol"}','96dcb449987e814427616e58c12e74eb87124ea2c44e09c1cac71684f8506e49','a1b9943fbef760b19cb05b76ae64d0b47c646a0171811a919c1ab895700dffcb');
INSERT INTO "events" VALUES(7,1.79605097576955413814e+09,'plan.judged','01M8PFNZ0AT1S9P51T860K41CR','carol','{"plan_hash":"bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62","rule":"test-touch-it","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it"],"targets":["web-1"]}],"targets":1,"verdict":"ask"}','a1b9943fbef760b19cb05b76ae64d0b47c646a0171811a919c1ab895700dffcb','90bc695879ffdae300e0234eb165676818d2794ef501122c3fc1851dbde5981f');
INSERT INTO "events" VALUES(8,1.79605097871938824659e+09,'request.approved','01M8PFNZ0AT1S9P51T860K41CR','alice','{"given":1,"needed":1,"plan_hash":"bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62","reason":"","second_factor":false,"via":"console"}','90bc695879ffdae300e0234eb165676818d2794ef501122c3fc1851dbde5981f','40513d6ca52cad4447677dce725de51ac7058e8a6195a5d6da499ae807b32b70');
INSERT INTO "events" VALUES(9,1.79605097871938824659e+09,'jobs.queued','01M8PFNZ0AT1S9P51T860K41CR','hub','{"jobs":{"01M8PFP1X2X8E2R3QX9EMC4X4M":"web-1"},"plan_hash":"bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62","step":0}','40513d6ca52cad4447677dce725de51ac7058e8a6195a5d6da499ae807b32b70','ac3ca0f2ddcb6be045e1365e75357955b3685bce4542e6737ba691784e397ea9');
INSERT INTO "events" VALUES(10,1.79605097871938824659e+09,'act.done','01M8PFNZ0AT1S9P51T860K41CR','alice','{"from":"127.0.0.1","verb":"approve","via":"console"}','ac3ca0f2ddcb6be045e1365e75357955b3685bce4542e6737ba691784e397ea9','e6e74bcda3a3141005959324ed49117dbf97f476e37e8adac1b3f51644c7cfb7');
INSERT INTO "events" VALUES(11,1.7960509787272658348e+09,'job.dispatched','01M8PFP1X2X8E2R3QX9EMC4X4M','hub','{"agent":"web-1","epoch":1,"plan_hash":"bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62"}','e6e74bcda3a3141005959324ed49117dbf97f476e37e8adac1b3f51644c7cfb7','f43c252809c38cee5cbbb12b85af1ed90f6541ca8881ab4ac6fc248c1485e0a4');
INSERT INTO "events" VALUES(12,1.7960509788166410923e+09,'job.accepted','01M8PFP1X2X8E2R3QX9EMC4X4M','web-1','{}','f43c252809c38cee5cbbb12b85af1ed90f6541ca8881ab4ac6fc248c1485e0a4','461e0e25d2a81d52af12c08237861c53edd4b96e8f9fbd3ae715a334b342b08d');
INSERT INTO "events" VALUES(13,1.7960509788166410923e+09,'job.started','01M8PFP1X2X8E2R3QX9EMC4X4M','web-1','{"at":1796050978.8074498,"pid":9954}','461e0e25d2a81d52af12c08237861c53edd4b96e8f9fbd3ae715a334b342b08d','71f2fa8e618fbcd9d9919e6639231f8289a090d6c6705f0974cccf80a764456e');
INSERT INTO "events" VALUES(14,1.7960509788166410923e+09,'job.ended','01M8PFP1X2X8E2R3QX9EMC4X4M','web-1','{"exit_code":0,"late":false,"outcome":"succeeded","output_bytes":0,"output_digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","signal":null}','71f2fa8e618fbcd9d9919e6639231f8289a090d6c6705f0974cccf80a764456e','8a40f399bdf94ef55708b57832bcbb8ddfe21085d4a6805f7b2f4b8915678ea2');
INSERT INTO "events" VALUES(15,1.7960509788166410923e+09,'request.ended','01M8PFNZ0AT1S9P51T860K41CR','hub','{"jobs":{"succeeded":1}}','8a40f399bdf94ef55708b57832bcbb8ddfe21085d4a6805f7b2f4b8915678ea2','2a354c11429e802165e8bcb648694e14a9b5bbf6f9efd3e35f4c006c9b64394f');
INSERT INTO "events" VALUES(16,1.79605097907443523406e+09,'message.accepted','01M8PFP282FRD4RYKM5N9EJ932','carol','{"conversation":"ops","event":"m-f4df4e0ba310eb33","images":0,"inlet":"ops","number":2,"text":"@web-1 uptime","user":"carol"}','2a354c11429e802165e8bcb648694e14a9b5bbf6f9efd3e35f4c006c9b64394f','40aba35481eb3460880a7b33d9bb119b393ef683cb037b2b0982e494f080923a');
INSERT INTO "events" VALUES(17,1.79605097907964873314e+09,'plan.judged','01M8PFP282FRD4RYKM5N9EJ932','carol','{"plan_hash":"95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe","rule":"uptime","source":"explicit","steps":[{"argv":["/usr/bin/uptime"],"targets":["web-1"]}],"targets":1,"verdict":"allow"}','40aba35481eb3460880a7b33d9bb119b393ef683cb037b2b0982e494f080923a','5ed0147021c4824d09f4b87497a97dd285a58ce41c06992d3f7fdd3ff6c49901');
INSERT INTO "events" VALUES(18,1.79605097907964873314e+09,'jobs.queued','01M8PFP282FRD4RYKM5N9EJ932','hub','{"jobs":{"01M8PFP289ADMNSC9RJJW7Z34T":"web-1"},"plan_hash":"95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe","step":0}','5ed0147021c4824d09f4b87497a97dd285a58ce41c06992d3f7fdd3ff6c49901','4656545ca03420dfc5e5a5f651618587bb63eacbc7b63918bebe656d128cc9e5');
INSERT INTO "events" VALUES(19,1.79605097908767390255e+09,'job.dispatched','01M8PFP289ADMNSC9RJJW7Z34T','hub','{"agent":"web-1","epoch":1,"plan_hash":"95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe"}','4656545ca03420dfc5e5a5f651618587bb63eacbc7b63918bebe656d128cc9e5','c605f8e439c272b4f66c6cc3794e8075890a185789bd36ce857f63d061d37996');
INSERT INTO "events" VALUES(20,1.79605097911893844602e+09,'job.accepted','01M8PFP289ADMNSC9RJJW7Z34T','web-1','{}','c605f8e439c272b4f66c6cc3794e8075890a185789bd36ce857f63d061d37996','f68f72f313324476556f4b6cbaa065314ff7c2e3be75994e76e1884604ce0290');
INSERT INTO "events" VALUES(21,1.79605097912765884404e+09,'job.started','01M8PFP289ADMNSC9RJJW7Z34T','web-1','{"at":1796050979.1117063,"pid":9955}','f68f72f313324476556f4b6cbaa065314ff7c2e3be75994e76e1884604ce0290','236ca31886bf3ab214e3f1f549f73b8dbaa2907a45169b93747fc31601963f9a');
INSERT INTO "events" VALUES(22,1.79605097913280534749e+09,'job.ended','01M8PFP289ADMNSC9RJJW7Z34T','web-1','{"exit_code":0,"late":false,"outcome":"succeeded","output_bytes":64,"output_digest":"e33447f90e139dd73774daf5ec913c8e35d2d3714ae2b41004335d180119b562","signal":null}','236ca31886bf3ab214e3f1f549f73b8dbaa2907a45169b93747fc31601963f9a','f8ee9de7cf3d0b0570e6499d52fda9fca472333c940a9bfa6f1d1554f8652811');
INSERT INTO "events" VALUES(23,1.79605097913280534749e+09,'request.ended','01M8PFP282FRD4RYKM5N9EJ932','hub','{"jobs":{"succeeded":1}}','f8ee9de7cf3d0b0570e6499d52fda9fca472333c940a9bfa6f1d1554f8652811','c99a0b27afae4491df33f9ba5103cd20ff220a8189c416dc8e2accf21632e1ca');
INSERT INTO "events" VALUES(24,1.79605097914656209948e+09,'message.accepted','01M8PFP2AAFV1YD7KRCVGY4AQY','carol','{"conversation":"ops","event":"m-12b5c94cfffaeddf","images":0,"inlet":"ops","number":3,"text":"@web-1 df -h | sort","user":"carol"}','c99a0b27afae4491df33f9ba5103cd20ff220a8189c416dc8e2accf21632e1ca','e17e59ffc760d09238cd11208acfc544b5e342b766eb7afb2acc873b9967652a');
INSERT INTO "events" VALUES(25,1.79605097915960073466e+09,'request.refused','01M8PFP2AAFV1YD7KRCVGY4AQY','carol','{"code":"grammar","reason":"| at character 14 would join or redirect commands in a shell, and there is no shell here: send one command, or quote the character where the program should see it"}','e17e59ffc760d09238cd11208acfc544b5e342b766eb7afb2acc873b9967652a','d27d1d99f2c1b28badca811d1776c2fe02808925d48b29d6416ad6564f257375');
INSERT INTO "events" VALUES(26,1.79605097919513082504e+09,'message.accepted','01M8PFP2BV46PG2H10KKW3DN3N','carol','{"conversation":"ops","event":"m-178663638b275436","images":0,"inlet":"ops","number":4,"text":"@web-1 touch-it again","user":"carol"}','d27d1d99f2c1b28badca811d1776c2fe02808925d48b29d6416ad6564f257375','152837639feee1583f99f74b71f03bfc0d428d56530f0ae72d2927da8d6808f0');
INSERT INTO "events" VALUES(27,1.79605097920249700549e+09,'plan.judged','01M8PFP2BV46PG2H10KKW3DN3N','carol','{"plan_hash":"9f3febbead67020798cd69e0accad618cbcdb2b14fe7d7dc2f0fce46c6ddb562","rule":"test-touch-it","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it","again"],"targets":["web-1"]}],"targets":1,"verdict":"ask"}','152837639feee1583f99f74b71f03bfc0d428d56530f0ae72d2927da8d6808f0','1ced0a644fb26a5286afbe1134f9fb28a747b2029cd5f73b6df87eb28722a4d3');
INSERT INTO "events" VALUES(28,1.7960509806403985024e+09,'queue.paused','web-1','alice','{"from":"127.0.0.1","reason":"kept","until":null,"via":"console"}','1ced0a644fb26a5286afbe1134f9fb28a747b2029cd5f73b6df87eb28722a4d3','78e9446a6f2017e5d092e89c74671fb9f804faad0548f2891d6a5154c275b8c6');
INSERT INTO "events" VALUES(29,1.79605098065513014799e+09,'act.done','web-1','alice','{"count":1,"from":"127.0.0.1","selector":"web-1","verb":"pause","via":"console"}','78e9446a6f2017e5d092e89c74671fb9f804faad0548f2891d6a5154c275b8c6','5bcc87efc0f387c708d19a3fbd8f605d7a0bdadd26f680bf763f3c104c5297fb');
INSERT INTO "events" VALUES(30,1796050980.85168,'message.accepted','01M8PFP3ZKMMR259A595J2BMXC','carol','{"conversation":"ops","event":"m-30a84def996933b9","images":0,"inlet":"ops","number":5,"text":"@web-1 uptime","user":"carol"}','5bcc87efc0f387c708d19a3fbd8f605d7a0bdadd26f680bf763f3c104c5297fb','486136003005551cedef38adc367a87966fdd8667b01f29cc2d0bab1717411d5');
INSERT INTO "events" VALUES(31,1.79605098085319137574e+09,'plan.judged','01M8PFP3ZKMMR259A595J2BMXC','carol','{"plan_hash":"95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe","rule":"uptime","source":"explicit","steps":[{"argv":["/usr/bin/uptime"],"targets":["web-1"]}],"targets":1,"verdict":"allow"}','486136003005551cedef38adc367a87966fdd8667b01f29cc2d0bab1717411d5','b8c0b9e4c6c737b61de1786d0e585fab42143addae37fa54012257c1c733a354');
INSERT INTO "events" VALUES(32,1.79605098085319137574e+09,'jobs.queued','01M8PFP3ZKMMR259A595J2BMXC','hub','{"jobs":{"01M8PFP3ZP81914C93ME2WP40V":"web-1"},"plan_hash":"95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe","step":0}','b8c0b9e4c6c737b61de1786d0e585fab42143addae37fa54012257c1c733a354','e34b6db32c56bf4ce1f5caeeacf0ceb553c7cd405daa60ea15ec906fb107baf0');
INSERT INTO "events" VALUES(33,1.79605098085539913177e+09,'message.accepted','01M8PFP3ZQQXGH4RRCKMJD4VQT','bob','{"conversation":"ops","event":"m-f23d40a2c95b1303","images":0,"inlet":"ops","number":6,"text":"@web-1 touch-it","user":"bob"}','e34b6db32c56bf4ce1f5caeeacf0ceb553c7cd405daa60ea15ec906fb107baf0','a611854bb0454931b61ebe6f1ded76f812da2b2f80fd9c767c0ccb27928f31ea');
INSERT INTO "events" VALUES(34,1.79605098087954092025e+09,'plan.judged','01M8PFP3ZQQXGH4RRCKMJD4VQT','bob','{"plan_hash":"bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62","rule":"test-touch-it","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it"],"targets":["web-1"]}],"targets":1,"verdict":"ask"}','a611854bb0454931b61ebe6f1ded76f812da2b2f80fd9c767c0ccb27928f31ea','e1fbb6b86949423faab9f771f638245b8dc80cf85e3b22bb5b0bd49b544780e7');
INSERT INTO "events" VALUES(35,1.79605098207941794394e+09,'hub.stopped','hub-8cb589','hub','{"epoch":1}','e1fbb6b86949423faab9f771f638245b8dc80cf85e3b22bb5b0bd49b544780e7','da3e0716961e97466d06c48e2b881c2299cb66c1c5db7ede535d1fadcdd1414c');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	person TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	state TEXT NOT NULL, 
	step BIGINT NOT NULL, 
	plan_hash TEXT NOT NULL, 
	not_after DOUBLE NOT NULL, 
	queued_at DOUBLE NOT NULL, 
	priority BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	journal TEXT NOT NULL, 
	leased_at DOUBLE, 
	accepted_at DOUBLE, 
	started_at DOUBLE, 
	ended_at DOUBLE, 
	exit_code BIGINT, 
	signal BIGINT, 
	reason TEXT NOT NULL, 
	duration DOUBLE, 
	output_bytes BIGINT NOT NULL, 
	output_digest TEXT NOT NULL, 
	truncated BOOLEAN NOT NULL, 
	chunks BIGINT NOT NULL, 
	cpu_user DOUBLE NOT NULL, 
	cpu_system DOUBLE NOT NULL, 
	max_rss BIGINT NOT NULL, 
	cancel_asked_at DOUBLE, 
	cancel_asked_by TEXT NOT NULL, 
	parent TEXT NOT NULL, number BIGINT DEFAULT '0' NOT NULL, inlet TEXT DEFAULT '' NOT NULL, source TEXT DEFAULT '' NOT NULL, command TEXT DEFAULT '' NOT NULL, time_limit BIGINT DEFAULT '0' NOT NULL, not_before DOUBLE DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT ck_jobs_ended CHECK (NOT (state IN ('cancelled', 'expired', 'failed', 'not_started', 'succeeded', 'timed_out')) OR ended_at IS NOT NULL), 
	CONSTRAINT ck_jobs_priority CHECK (priority BETWEEN 0 AND 9), 
	CONSTRAINT ck_jobs_state CHECK (state IN ('accepted', 'cancelled', 'expired', 'failed', 'leased', 'not_started', 'queued', 'running', 'succeeded', 'timed_out', 'unknown')), 
	CONSTRAINT fk_jobs_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
);
INSERT INTO "jobs" VALUES('01M8PFP1X2X8E2R3QX9EMC4X4M','01M8PFNZ0AT1S9P51T860K41CR','carol','web-1','succeeded',0,'bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62',1.79605157871938824658e+09,1.79605097871938824659e+09,5,1,'5e68bd22a848faf09ba42674b0b1d3e3',1.7960509787272658348e+09,1.7960509788166410923e+09,1.79605097880744981764e+09,1.7960509788166410923e+09,0,NULL,'',5.04589080810546875e-03,0,'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',0,0,7.81999999999999926073e-04,0.0,0,NULL,'','',1,'ops','explicit','/srv/kept/rig/bin/touch-it',60,0.0);
INSERT INTO "jobs" VALUES('01M8PFP289ADMNSC9RJJW7Z34T','01M8PFP282FRD4RYKM5N9EJ932','carol','web-1','succeeded',0,'95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe',1.79605157907964873317e+09,1.79605097907964873314e+09,5,1,'5e68bd22a848faf09ba42674b0b1d3e3',1.79605097908767390255e+09,1.79605097911893844602e+09,1.79605097911170625687e+09,1.79605097913280534749e+09,0,NULL,'',1.95252895355224609375e-02,64,'e33447f90e139dd73774daf5ec913c8e35d2d3714ae2b41004335d180119b562',0,1,0.001966,0.0,0,NULL,'','',2,'ops','explicit','/usr/bin/uptime',10,0.0);
INSERT INTO "jobs" VALUES('01M8PFP3ZP81914C93ME2WP40V','01M8PFP3ZKMMR259A595J2BMXC','carol','web-1','queued',0,'95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe',1.79605158085319137578e+09,1.79605098085319137574e+09,5,0,'',NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,0,'',0,0,0.0,0.0,0,NULL,'','',5,'ops','explicit','/usr/bin/uptime',10,0.0);
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('epoch','1');
INSERT INTO "meta" VALUES('epoch_at','1796050966.5375392');
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	request_id TEXT NOT NULL, 
	inlet TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	url TEXT NOT NULL, 
	body TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	next_at DOUBLE NOT NULL, 
	attempts BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	error TEXT NOT NULL, 
	done_at DOUBLE, 
	CONSTRAINT ck_outbox_kind CHECK (kind IN ('final', 'late', 'progress', 'question')), 
	CONSTRAINT ck_outbox_state CHECK (state IN ('dead', 'done', 'pending'))
);
INSERT INTO "outbox" VALUES(1,'01M8PFNZ0AT1S9P51T860K41CR','ops','question','http://127.0.0.1:42707/replies','{"in_reply_to":"m-3c773fcf3ff2825a","conversation":"ops","kind":"question","text":"r1 waits for approval: carol asks for this, and nothing has run yet.\nOn web-1 (machines: 1, time limit 1 min):\n```\n[\"/srv/kept/rig/bin/touch-it\"]\n```\nWhy it asks: rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1\nPlan bc57521b\nNeeds one approval from somebody other than carol before 15:32 UTC (in 30 min).\nAnswer “approve r1” or “reject r1 WHY”.","request":{"id":"01M8PFNZ0AT1S9P51T860K41CR","number":1,"state":"asking"},"jobs":[],"actions":["approve","reject"]}',1.79605097576955413814e+09,1.79605097576955413814e+09,0,'done','',1.79605097581051802637e+09);
INSERT INTO "outbox" VALUES(2,'01M8PFNZ0AT1S9P51T860K41CR','ops','final','http://127.0.0.1:42707/replies','{"in_reply_to":"m-3c773fcf3ff2825a","conversation":"ops","kind":"final","text":"r1 `/srv/kept/rig/bin/touch-it`\nweb-1: done in 5 ms\n(no output)","request":{"id":"01M8PFNZ0AT1S9P51T860K41CR","number":1,"state":"done"},"jobs":[{"id":"01M8PFP1X2X8E2R3QX9EMC4X4M","agent":"web-1","argv":["/srv/kept/rig/bin/touch-it"],"state":"succeeded","exit_code":0,"output":""}],"actions":[]}',1.7960509788166410923e+09,1.7960509788166410923e+09,0,'done','',1.79605097890168023113e+09);
INSERT INTO "outbox" VALUES(3,'01M8PFP282FRD4RYKM5N9EJ932','ops','final','http://127.0.0.1:42707/replies','{"in_reply_to":"m-f4df4e0ba310eb33","conversation":"ops","kind":"final","text":"r2 `/usr/bin/uptime`\nweb-1: done in 20 ms\n```\n 15:02:59 up  1:37,  0 user,  load average: 15.78, 14.73, 14.20\n```","request":{"id":"01M8PFP282FRD4RYKM5N9EJ932","number":2,"state":"done"},"jobs":[{"id":"01M8PFP289ADMNSC9RJJW7Z34T","agent":"web-1","argv":["/usr/bin/uptime"],"state":"succeeded","exit_code":0,"output":" 15:02:59 up  1:37,  0 user,  load average: 15.78, 14.73, 14.20\n"}],"actions":[]}',1.79605097913280534749e+09,1.79605097913280534749e+09,0,'done','',1.79605097914179038997e+09);
INSERT INTO "outbox" VALUES(4,'01M8PFP2AAFV1YD7KRCVGY4AQY','ops','final','http://127.0.0.1:42707/replies','{"in_reply_to":"m-12b5c94cfffaeddf","conversation":"ops","kind":"final","text":"| at character 14 would join or redirect commands in a shell, and there is no shell here: send one command, or quote the character where the program should see it","request":{"id":"01M8PFP2AAFV1YD7KRCVGY4AQY","number":3,"state":"refused"},"jobs":[],"actions":[]}',1.79605097915960073466e+09,1.79605097915960073466e+09,0,'done','',1.79605097919140934943e+09);
INSERT INTO "outbox" VALUES(5,'01M8PFP2BV46PG2H10KKW3DN3N','ops','question','http://127.0.0.1:42707/replies','{"in_reply_to":"m-178663638b275436","conversation":"ops","kind":"question","text":"r4 waits for approval: carol asks for this, and nothing has run yet.\nOn web-1 (machines: 1, time limit 1 min):\n```\n[\"/srv/kept/rig/bin/touch-it\", \"again\"]\n```\nWhy it asks: rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1\nPlan 9f3febbe\nNeeds one approval from somebody other than carol before 15:32 UTC (in 30 min).\nAnswer “approve r4” or “reject r4 WHY”.","request":{"id":"01M8PFP2BV46PG2H10KKW3DN3N","number":4,"state":"asking"},"jobs":[],"actions":["approve","reject"]}',1.79605097920249700549e+09,1.79605097920249700549e+09,0,'done','',1.79605097925651311869e+09);
INSERT INTO "outbox" VALUES(6,'01M8PFP3ZQQXGH4RRCKMJD4VQT','ops','question','http://127.0.0.1:42707/replies','{"in_reply_to":"m-f23d40a2c95b1303","conversation":"ops","kind":"question","text":"r6 waits for approval: bob asks for this, and nothing has run yet.\nOn web-1 (machines: 1, time limit 1 min):\n```\n[\"/srv/kept/rig/bin/touch-it\"]\n```\nWhy it asks: rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1\nPlan bc57521b\nNeeds one approval from somebody other than bob before 15:33 UTC (in 30 min).\nAnswer “approve r6” or “reject r6 WHY”.","request":{"id":"01M8PFP3ZQQXGH4RRCKMJD4VQT","number":6,"state":"asking"},"jobs":[],"actions":["approve","reject"]}',1.79605098087954092025e+09,1.79605098087954092025e+09,0,'done','',1.79605098090252852439e+09);
CREATE TABLE output (
	job_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	stream BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_output PRIMARY KEY (job_id, seq), 
	CONSTRAINT ck_output_seq CHECK (seq >= 1), 
	CONSTRAINT ck_output_stream CHECK (stream IN (1, 2)), 
	CONSTRAINT fk_output_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "output" VALUES('01M8PFP289ADMNSC9RJJW7Z34T',1,1,X'2031353A30323A35392075702020313A33372C20203020757365722C20206C6F616420617665726167653A2031352E37382C2031342E37332C2031342E32300A',1.79605097911791110037e+09);
CREATE TABLE people (
	name TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	totp_secret BLOB NOT NULL, 
	totp_last_step BIGINT NOT NULL, 
	totp_failures BIGINT NOT NULL, 
	totp_locked_until DOUBLE NOT NULL, 
	revoked_at DOUBLE, 
	CONSTRAINT pk_people PRIMARY KEY (name)
);
INSERT INTO "people" VALUES('alice','["admin"]',1.79605094926675653461e+09,X'',0,0,0.0,NULL);
CREATE TABLE requests (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	inlet TEXT NOT NULL, 
	event_id TEXT NOT NULL, 
	conversation TEXT NOT NULL, 
	chat_user TEXT NOT NULL, 
	person TEXT NOT NULL, 
	text TEXT NOT NULL, 
	language TEXT NOT NULL, 
	reply_url TEXT NOT NULL, 
	received_at DOUBLE NOT NULL, 
	"plan" TEXT, 
	plan_hash TEXT NOT NULL, 
	approvers BIGINT NOT NULL, 
	second_factor BOOLEAN NOT NULL, 
	own_approval BOOLEAN NOT NULL, 
	rule TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	decide_by DOUBLE, 
	step BIGINT NOT NULL, 
	planned_at DOUBLE, 
	decided_at DOUBLE, 
	ended_at DOUBLE, 
	parent TEXT NOT NULL, behalf TEXT DEFAULT '' NOT NULL, hold DOUBLE DEFAULT '0' NOT NULL, 
	CONSTRAINT ck_requests_ended CHECK (NOT (state IN ('cancelled', 'done', 'expired', 'refused', 'rejected')) OR ended_at IS NOT NULL), 
	CONSTRAINT ck_requests_language CHECK (language IN ('en', 'zh')), 
	CONSTRAINT ck_requests_state CHECK (state IN ('asking', 'cancelled', 'done', 'expired', 'received', 'refused', 'rejected', 'working')), 
	CONSTRAINT uq_requests_id UNIQUE (id), 
	CONSTRAINT uq_requests_inlet_event_id UNIQUE (inlet, event_id)
);
INSERT INTO "requests" VALUES(1,'01M8PFNZ0AT1S9P51T860K41CR','done','ops','m-3c773fcf3ff2825a','ops','carol','carol','@web-1 touch-it','en','http://127.0.0.1:42707/replies',1.79605097575488543513e+09,'{"explanation":"","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it"],"cwd":"","env":{},"output_cap":1048576,"targets":["web-1"],"time_limit":60}],"tainted":false,"ttl":600}','bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62',1,0,0,'test-touch-it','rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1',1.79605277576955413816e+09,0,1.79605097576955413814e+09,1.79605097871938824659e+09,1.7960509788166410923e+09,'','',0.0);
INSERT INTO "requests" VALUES(2,'01M8PFP282FRD4RYKM5N9EJ932','done','ops','m-f4df4e0ba310eb33','ops','carol','carol','@web-1 uptime','en','http://127.0.0.1:42707/replies',1.79605097907443523406e+09,'{"explanation":"","source":"explicit","steps":[{"argv":["/usr/bin/uptime"],"cwd":"","env":{},"output_cap":1048576,"targets":["web-1"],"time_limit":10}],"tainted":false,"ttl":600}','95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe',0,0,0,'uptime','rule uptime allows it: since when the machine is up, and its load',NULL,0,1.79605097907964873314e+09,1.79605097907964873314e+09,1.79605097913280534749e+09,'','',0.0);
INSERT INTO "requests" VALUES(3,'01M8PFP2AAFV1YD7KRCVGY4AQY','refused','ops','m-12b5c94cfffaeddf','ops','carol','carol','@web-1 df -h | sort','en','http://127.0.0.1:42707/replies',1.79605097914656209948e+09,NULL,'',0,0,0,'grammar','| at character 14 would join or redirect commands in a shell, and there is no shell here: send one command, or quote the character where the program should see it',NULL,0,NULL,NULL,1.79605097915960073466e+09,'','',0.0);
INSERT INTO "requests" VALUES(4,'01M8PFP2BV46PG2H10KKW3DN3N','asking','ops','m-178663638b275436','ops','carol','carol','@web-1 touch-it again','en','http://127.0.0.1:42707/replies',1.79605097919513082504e+09,'{"explanation":"","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it","again"],"cwd":"","env":{},"output_cap":1048576,"targets":["web-1"],"time_limit":60}],"tainted":false,"ttl":600}','9f3febbead67020798cd69e0accad618cbcdb2b14fe7d7dc2f0fce46c6ddb562',1,0,0,'test-touch-it','rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1',1.79605277920249700547e+09,0,1.79605097920249700549e+09,NULL,NULL,'','',0.0);
INSERT INTO "requests" VALUES(5,'01M8PFP3ZKMMR259A595J2BMXC','working','ops','m-30a84def996933b9','ops','carol','carol','@web-1 uptime','en','http://127.0.0.1:42707/replies',1796050980.85168,'{"explanation":"","source":"explicit","steps":[{"argv":["/usr/bin/uptime"],"cwd":"","env":{},"output_cap":1048576,"targets":["web-1"],"time_limit":10}],"tainted":false,"ttl":600}','95917309334df2cc4ba94b0b2f534e5cd1ddaf1be734cde0b664331b82761bbe',0,0,0,'uptime','rule uptime allows it: since when the machine is up, and its load',NULL,0,1.79605098085319137574e+09,1.79605098085319137574e+09,NULL,'','',0.0);
INSERT INTO "requests" VALUES(6,'01M8PFP3ZQQXGH4RRCKMJD4VQT','asking','ops','m-f23d40a2c95b1303','ops','bob','bob','@web-1 touch-it','en','http://127.0.0.1:42707/replies',1.79605098085539913177e+09,'{"explanation":"","source":"explicit","steps":[{"argv":["/srv/kept/rig/bin/touch-it"],"cwd":"","env":{},"output_cap":1048576,"targets":["web-1"],"time_limit":60}],"tainted":false,"ttl":600}','bc57521b148c2be4800e50c74295442f94693aedc47f93a4670c9bab00dd3e62',1,0,0,'test-touch-it','rule test-touch-it asks for a person''s approval, not the requester''s own; approvals needed: 1',1.79605278087954092023e+09,0,1.79605098087954092025e+09,NULL,NULL,'','',0.0);
CREATE TABLE sealed (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	request_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	data BLOB NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT ck_sealed_kind CHECK (kind IN ('answer', 'picture', 'prompt', 'reading')), 
	CONSTRAINT fk_sealed_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
);
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('requests','sqlite_autoindex_requests_1','1000000 1');
INSERT INTO "sqlite_stat1" VALUES('requests','sqlite_autoindex_requests_2','1000000 300000 1');
INSERT INTO "sqlite_stat1" VALUES('requests','ix_requests_person','1000000 20000 1');
INSERT INTO "sqlite_stat1" VALUES('requests','ix_requests_open','100 30 3');
INSERT INTO "sqlite_stat1" VALUES('jobs','sqlite_autoindex_jobs_1','1000000 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_request_id','1000000 2');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_agent','1000000 5000 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_person','1000000 20000 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_open','100 4 2');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_queue','1000 20 15 5 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_queued_person','1000 50 50');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_lapse','1000 2 2');
INSERT INTO "sqlite_stat1" VALUES('jobs','uq_jobs_step','1000000 2 2 1');
INSERT INTO "sqlite_stat1" VALUES('outbox','ix_outbox_due','100 1 1');
INSERT INTO "sqlite_stat1" VALUES('outbox','ix_outbox_order','100 1 1');
INSERT INTO "sqlite_stat1" VALUES('outbox','uq_outbox_final','1000000 1');
INSERT INTO "sqlite_stat1" VALUES('output','sqlite_autoindex_output_1','1000000 4 1');
INSERT INTO "sqlite_stat1" VALUES('events','ix_events_subject','10000000 6 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_ended','1000000 150000 1');
INSERT INTO "sqlite_stat1" VALUES('jobs','ix_jobs_held','10 5 1');
INSERT INTO "sqlite_stat1" VALUES('events','ix_events_odd','10 1');
INSERT INTO "sqlite_stat1" VALUES('requests','ix_requests_conversation','1000000 100000 1000 1');
INSERT INTO "sqlite_stat1" VALUES('sealed','ix_sealed_request_id','100000 3 1');
INSERT INTO "sqlite_stat1" VALUES('sealed','ix_sealed_at','100000 1');
INSERT INTO "sqlite_stat1" VALUES('drafts','ix_drafts_proposed','10 1');
CREATE TABLE switches (
	name TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	reason TEXT NOT NULL, until DOUBLE, 
	CONSTRAINT pk_switches PRIMARY KEY (name)
);
CREATE TABLE tokens (
	hash TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	expires_at DOUBLE NOT NULL, 
	created_by TEXT NOT NULL, 
	used_at DOUBLE, 
	CONSTRAINT pk_tokens PRIMARY KEY (hash), 
	CONSTRAINT ck_tokens_kind CHECK (kind IN ('agent', 'operator'))
);
INSERT INTO "tokens" VALUES('8fc54d56b3ec4d4f7ca7421469e3c04cb10f8211b2f319009dd90630944d1c4d','agent','web-1','{"role":"web"}',1.79605097093549561501e+09,1.796051570935495615e+09,'terminal',1.79605097314736485486e+09);
CREATE TABLE turns (
	agent TEXT NOT NULL, 
	person TEXT NOT NULL, 
	turn BIGINT NOT NULL, 
	CONSTRAINT pk_turns PRIMARY KEY (agent, person)
);
CREATE INDEX ix_credentials_name ON credentials (kind, name);
CREATE INDEX ix_credentials_revoked ON credentials (revoked_at);
CREATE INDEX ix_events_subject ON events (subject, seq);
CREATE INDEX ix_outbox_due ON outbox (next_at, id) WHERE state = 'pending';
CREATE INDEX ix_outbox_order ON outbox (request_id, id) WHERE state = 'pending';
CREATE UNIQUE INDEX uq_outbox_final ON outbox (request_id) WHERE kind = 'final' AND request_id <> '';
CREATE INDEX ix_requests_open ON requests (state, person) WHERE state IN ('asking', 'received', 'working');
CREATE INDEX ix_requests_person ON requests (person, number);
CREATE INDEX ix_jobs_agent ON jobs (agent, id);
CREATE INDEX ix_jobs_lapse ON jobs (not_after, state) WHERE state = 'queued';
CREATE INDEX ix_jobs_open ON jobs (agent, state) WHERE state IN ('accepted', 'leased', 'running', 'unknown');
CREATE INDEX ix_jobs_person ON jobs (person, id);
CREATE INDEX ix_jobs_queue ON jobs (agent, priority, person, queued_at, id, state) WHERE state = 'queued';
CREATE INDEX ix_jobs_queued_person ON jobs (person, state) WHERE state = 'queued';
CREATE INDEX ix_jobs_request_id ON jobs (request_id);
CREATE UNIQUE INDEX uq_jobs_step ON jobs (request_id, step, agent) WHERE parent = '';
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints is append-only'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints is append-only'); END;
CREATE TRIGGER events_in_order BEFORE INSERT ON events WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events) BEGIN SELECT RAISE(ABORT, 'events follow one another without a gap'); END;
CREATE TRIGGER requests_end BEFORE UPDATE OF state ON requests WHEN OLD.state IN ('cancelled', 'done', 'expired', 'refused', 'rejected') AND NEW.state <> OLD.state BEGIN SELECT RAISE(ABORT, 'requests: an end is final'); END;
CREATE TRIGGER jobs_end BEFORE UPDATE OF state ON jobs WHEN OLD.state IN ('cancelled', 'expired', 'failed', 'not_started', 'succeeded', 'timed_out') AND NEW.state <> OLD.state BEGIN SELECT RAISE(ABORT, 'jobs: an end is final'); END;
CREATE INDEX ix_jobs_ended ON jobs (state, id) WHERE state IN ('cancelled', 'expired', 'failed', 'not_started', 'succeeded', 'timed_out');
CREATE INDEX ix_jobs_held ON jobs (not_before, agent) WHERE state = 'queued' AND not_before > 0;
CREATE INDEX ix_events_odd ON events (seq) WHERE kind IN ('job.anomaly', 'job.foreign', 'job.unheard_of');
CREATE INDEX ix_sealed_request_id ON sealed (request_id, id);
CREATE INDEX ix_sealed_at ON sealed (at);
CREATE INDEX ix_drafts_proposed ON drafts (number) WHERE state = 'proposed';
CREATE INDEX ix_requests_conversation ON requests (inlet, conversation, number);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('requests',6);
INSERT INTO "sqlite_sequence" VALUES('outbox',6);
COMMIT;
