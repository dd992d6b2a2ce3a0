-- From version 1, which knew neither a way back, nor disabled bundles, nor data kept beyond its bundle, nor a history of changes.

ALTER TABLE bundle ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;

ALTER TABLE bundle ADD COLUMN signer TEXT;

CREATE TABLE previous_version (
  bundle TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  manifest TEXT NOT NULL,
  grants TEXT NOT NULL,
  installed_at INTEGER NOT NULL,
  signer TEXT
) STRICT;

CREATE TABLE kept_data (
  bundle TEXT PRIMARY KEY
) STRICT;

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
