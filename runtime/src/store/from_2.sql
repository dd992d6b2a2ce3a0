-- From version 2, which knew neither other kinds than app-refresh and processing, nor latest begin, retry and repeat, nor what a
-- bundle has used up, nor keys of submissions, nor schedules, and which forgot who had signed a bundle when its data was kept.

ALTER TABLE kept_data ADD COLUMN signer TEXT;

ALTER TABLE request ADD COLUMN wake_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN latest_begin INTEGER;
ALTER TABLE request ADD COLUMN repeat_every_ms INTEGER;
ALTER TABLE request ADD COLUMN repeat_flex_ms INTEGER;
ALTER TABLE request ADD COLUMN retry_attempts INTEGER;
ALTER TABLE request ADD COLUMN retry_first_ms INTEGER;
ALTER TABLE request ADD COLUMN retry_longest_ms INTEGER;
ALTER TABLE request ADD COLUMN protection TEXT NOT NULL DEFAULT 'none';
ALTER TABLE request ADD COLUMN title TEXT;
ALTER TABLE request ADD COLUMN subtitle TEXT;
ALTER TABLE request ADD COLUMN fail_unless_immediate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN gpu INTEGER NOT NULL DEFAULT 0;

UPDATE request SET wake_at = ripe_at;

DROP INDEX request_by_lane;

CREATE INDEX request_by_lane
  ON request (bundle, kind, network, power, protection, priority, urgent, id)
  WHERE stage = 'ready';

CREATE INDEX request_by_waking
  ON request (wake_at)
  WHERE stage = 'ripening';

CREATE INDEX request_by_latest_begin
  ON request (latest_begin)
  WHERE latest_begin IS NOT NULL AND urgent = 0 AND stage <> 'launched';

ALTER TABLE task ADD COLUMN title TEXT;
ALTER TABLE task ADD COLUMN subtitle TEXT;

CREATE TABLE pace (
  bundle TEXT PRIMARY KEY,
  launched_at INTEGER NOT NULL,
  day INTEGER NOT NULL,
  used_us INTEGER NOT NULL
) STRICT;

CREATE TABLE submission_key (
  key TEXT PRIMARY KEY,
  content TEXT NOT NULL,
  request INTEGER NOT NULL,
  replaced INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX submission_key_by_age
  ON submission_key (at);

CREATE TABLE schedule (
  bundle TEXT NOT NULL,
  name TEXT NOT NULL,
  origin TEXT NOT NULL,
  identifier TEXT NOT NULL,
  kind TEXT NOT NULL,
  network INTEGER NOT NULL,
  power INTEGER NOT NULL,
  calendar TEXT NOT NULL,
  zone TEXT NOT NULL,
  jitter_ms INTEGER NOT NULL,
  missed TEXT NOT NULL,
  input BLOB NOT NULL,
  enabled INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  owing INTEGER NOT NULL,
  next_at INTEGER,
  PRIMARY KEY (bundle, name)
) STRICT;

CREATE INDEX schedule_by_next
  ON schedule (next_at)
  WHERE next_at IS NOT NULL;

CREATE INDEX schedule_owing
  ON schedule (bundle, identifier)
  WHERE owing = 1;
