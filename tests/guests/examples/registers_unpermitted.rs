//! Registers an identifier its manifest does not permit.

mod misfit;

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest", "test.misfits.play"], || Ok(()));
