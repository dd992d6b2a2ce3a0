-- What has been promised. A request row exists while the request is unfinished; a task row is history, bounded per bundle.

CREATE TABLE bundle (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  manifest TEXT NOT NULL,
  grants TEXT NOT NULL,
  installed_at INTEGER NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1,
  signer TEXT
) STRICT;

CREATE TABLE previous_version (
  bundle TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  manifest TEXT NOT NULL,
  grants TEXT NOT NULL,
  installed_at INTEGER NOT NULL,
  signer TEXT
) STRICT;

CREATE TABLE kept_data (
  bundle TEXT PRIMARY KEY,
  signer TEXT
) STRICT;

CREATE TABLE request (
  id INTEGER PRIMARY KEY,
  bundle TEXT NOT NULL,
  identifier TEXT NOT NULL,
  kind TEXT NOT NULL,
  network INTEGER NOT NULL,
  power INTEGER NOT NULL,
  stage TEXT NOT NULL,
  ripe_at INTEGER NOT NULL,
  earliest_begin INTEGER,
  priority INTEGER NOT NULL,
  input BLOB NOT NULL,
  run_after TEXT NOT NULL,
  may_suspend INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  submitted_at INTEGER NOT NULL,
  wake_at INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  urgent INTEGER NOT NULL DEFAULT 0,
  latest_begin INTEGER,
  repeat_every_ms INTEGER,
  repeat_flex_ms INTEGER,
  retry_attempts INTEGER,
  retry_first_ms INTEGER,
  retry_longest_ms INTEGER,
  protection TEXT NOT NULL DEFAULT 'none',
  title TEXT,
  subtitle TEXT,
  fail_unless_immediate INTEGER NOT NULL DEFAULT 0,
  gpu INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX request_by_identifier
  ON request (bundle, identifier);

CREATE INDEX request_by_lane
  ON request (bundle, kind, network, power, protection, priority, urgent, id)
  WHERE stage = 'ready';

CREATE INDEX request_by_ripening
  ON request (ripe_at)
  WHERE stage = 'ripening';

CREATE INDEX request_by_waking
  ON request (wake_at)
  WHERE stage = 'ripening';

CREATE INDEX request_by_latest_begin
  ON request (latest_begin)
  WHERE latest_begin IS NOT NULL AND urgent = 0 AND stage <> 'launched';

CREATE TABLE run_after (
  bundle TEXT NOT NULL,
  identifier TEXT NOT NULL,
  request INTEGER NOT NULL,
  PRIMARY KEY (bundle, identifier, request)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_after_by_request
  ON run_after (request);

CREATE TABLE task (
  id INTEGER PRIMARY KEY,
  request INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  identifier TEXT NOT NULL,
  kind TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  launched_at INTEGER NOT NULL,
  completed INTEGER,
  total INTEGER,
  ended_at INTEGER,
  outcome TEXT,
  reason TEXT,
  returned TEXT,
  message TEXT,
  output BLOB,
  fuel INTEGER NOT NULL DEFAULT 0,
  wall_us INTEGER NOT NULL DEFAULT 0,
  peak_memory INTEGER NOT NULL DEFAULT 0,
  title TEXT,
  subtitle TEXT
) STRICT;

CREATE INDEX task_by_identifier
  ON task (bundle, identifier, id);

CREATE INDEX task_running
  ON task (id)
  WHERE outcome IS NULL;

CREATE TABLE checkpoint (
  bundle TEXT NOT NULL,
  identifier TEXT NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (bundle, identifier)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  what TEXT NOT NULL,
  identifier TEXT,
  request INTEGER,
  detail TEXT
) STRICT;

CREATE INDEX history_by_bundle
  ON history (bundle, id);

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
