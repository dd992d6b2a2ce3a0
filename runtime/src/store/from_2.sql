-- From version 2, which forgot who had signed a bundle when its data was kept.

ALTER TABLE kept_data ADD COLUMN signer TEXT;
