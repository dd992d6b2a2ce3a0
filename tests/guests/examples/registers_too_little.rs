//! Registers no handler for one of the identifiers its manifest permits.

mod misfit;

misfit::misfit!(|| ["test.misfits.work"], || Ok(()));
