//! Registers an identifier twice.

mod misfit;

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest", "test.misfits.work"], || Ok(()));
