//! A folder under everything guests can do to it at once, drawn from a seed: what is accounted is never less than what is on
//! disk, and exactly that when nobody has anything open.

use std::{
    fs::{self, File},
    ops::Range,
    time::Duration,
};

use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{
    account::Full,
    folder::{Opening, Place},
    walk::{Walked, walk},
    *,
};
use crate::{
    clock::{Clock, ManualClock},
    engine::log::Log,
};

const SEEDS: Range<u64> = 0..8;
const STEPS: usize = 300;
const HANDS: u64 = 6;

/// A folder on disk, its account, and a runtime to use them on.
struct House {
    runtime: Runtime,
    place: TempDir,
    clock: Arc<ManualClock>,
    account: Arc<Account>,
    log: Log,
}

impl House {
    fn new() -> House {
        House {
            runtime: Builder::new_multi_thread().worker_threads(2).build().unwrap(),
            place: tempfile::tempdir().unwrap(),
            clock: ManualClock::new("2026-07-28T09:00:00Z".parse().unwrap()),
            account: Arc::default(),
            log: Log::memory(1 << 20),
        }
    }

    fn root(&self) -> File {
        File::open(self.place.path()).unwrap()
    }

    fn folder(&self, quota: Quota) -> Arc<Folder> {
        Arc::new(Folder::new(FolderParts {
            name: "/data",
            root: self.root(),
            account: self.account.clone(),
            quota,
            recount_after: Duration::from_secs(10),
            clock: self.clock.clone() as Arc<dyn Clock>,
            log: self.log.clone(),
        }))
    }

    fn on_disk(&self) -> (u64, u64) {
        let Walked { bytes, entries } = walk(&self.root(), |_| false).unwrap();
        (bytes, entries)
    }
}

const CREATE: Opening = Opening {
    follow: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
    read: false,
    write: true,
};

fn any_name(rng: &mut Rng) -> String {
    format!("{}{}", ["", "", "a/", "b/"][rng.usize(..4)], rng.u8(..5))
}

/// One guest among others: it does what the seed says, and takes no notice of what fails.
async fn live(folder: Arc<Folder>, root: Arc<File>, mut rng: Rng) {
    let mut open: Vec<Arc<OpenFile>> = Vec::new();
    for _ in 0..STEPS {
        let (name, other, length) = (any_name(&mut rng), any_name(&mut rng), rng.u64(..3_000));
        let some = open.get(rng.usize(..3)).cloned();
        let (at, deed) = (root.clone(), rng.u8(..12));
        match (deed, some) {
            (0, _) => drop(folder.create_folder(at, ["a", "b"][rng.usize(..2)].to_owned()).await),
            (1, _) => drop(folder.remove_folder(at, ["a", "b"][rng.usize(..2)].to_owned()).await),
            (2, _) => drop(folder.create_link(other, at, name).await),
            (3, _) => drop(folder.add_name(at.clone(), other, at, name).await),
            (4, _) => drop(folder.remove_file(at, name).await),
            (5, _) => drop(folder.rename(at.clone(), other, at, name).await),
            (6, Some(file)) => drop(folder.set_size(&file, length).await),
            (7 | 8, Some(file)) => drop(folder.write(&file, Place::At(length), vec![7; 500].into()).await),
            (9, Some(file)) => drop(folder.write(&file, Place::End, vec![7; 500].into()).await),
            (10, Some(_)) => drop(open.swap_remove(0)),
            _ => {
                let opening = Opening {
                    truncate: rng.u8(..4) == 0,
                    exclusive: rng.u8(..4) == 0,
                    follow: rng.bool(),
                    write: rng.u8(..4) > 0,
                    ..CREATE
                };
                if let Ok((Descriptor::File(_), Some(Charge::File(_, file)))) = folder.open(at, name, opening).await {
                    open.push(file);
                }
            }
        }
    }
}

#[test]
fn what_is_accounted_is_what_is_on_disk_when_all_is_done() {
    for seed in SEEDS {
        let house = House::new();
        let quota = Quota { bytes: 20_000, entries: 14 };
        house.runtime.block_on(async {
            let root = Arc::new(house.root());
            let guests: Vec<_> = (0..HANDS)
                .map(|hand| {
                    let rng = Rng::with_seed(seed * HANDS + hand);
                    tokio::spawn(live(house.folder(quota), root.clone(), rng))
                })
                .collect();
            for guest in guests {
                guest.await.unwrap();
            }
        });
        let (held, on_disk) = (house.account.held(), house.on_disk());
        assert_eq!(held, on_disk, "seed {seed}");
        assert!(on_disk.0 <= quota.bytes && on_disk.1 <= quota.entries, "seed {seed}: {on_disk:?}");
        let said = house.log.kept();
        assert!(said.contains("/data is full: it may hold 20000 bytes"), "seed {seed}: {said}");
        assert!(said.contains("/data is full: it may hold 14 files and folders"), "seed {seed}: {said}");
    }
}

#[test]
fn a_change_whose_guest_is_gone_is_accounted_for() {
    let house = House::new();
    let folder = house.folder(Quota { bytes: 100, entries: 1_000 });
    house.runtime.block_on(async {
        let root = Arc::new(house.root());
        for number in 0..200 {
            let opening = folder.open(root.clone(), number.to_string(), CREATE);
            tokio::select! {
                biased;
                () = async { for _ in 0..number % 7 { tokio::task::yield_now().await } } => {}
                _ = opening => {}
            }
        }
        // Whoever holds the names last sees all that was begun.
        drop(house.account.names.clone().lock_owned().await);
    });
    assert_eq!(house.account.held().1, house.on_disk().1);
}

#[test]
fn what_an_operator_removes_by_hand_is_found_when_it_matters_and_not_at_every_refusal() {
    let house = House::new();
    fs::write(house.place.path().join("old"), [0; 90]).unwrap();
    let folder = house.folder(Quota { bytes: 100, entries: 10 });
    house.runtime.block_on(async {
        let root = Arc::new(house.root());
        let (_, charge) = folder.open(root, "new".to_owned(), CREATE).await.unwrap();
        let Some(Charge::File(_, file)) = charge else { panic!("a file is charged") };
        let write = || folder.write(&file, Place::At(0), vec![1; 50].into());
        assert_eq!(house.account.held(), (90, 2));
        assert_eq!(write().await.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        fs::remove_file(house.place.path().join("old")).unwrap();
        assert!(write().await.is_err(), "it was counted a moment ago");
        house.clock.advance(Duration::from_secs(10));
        assert_eq!(write().await.unwrap(), 50);
    });
    assert_eq!(house.account.held(), (50, 1));
    assert_eq!(house.log.kept().lines().count(), 1, "it is said once");
}

#[test]
fn a_folder_made_anew_has_a_new_account() {
    let house = House::new();
    let parent = Dir::from_std_file(house.root());
    let (accounts, id) = (Accounts::default(), BundleId::parse("test.behaviours").unwrap());
    let account = || accounts.open(&parent, &id, Duration::ZERO).unwrap().1;
    let first = account();
    assert_eq!(first.counted(), Some(Duration::ZERO), "it is known to be empty");
    assert!(Arc::ptr_eq(&first, &account()));
    parent.rename(id.as_str(), &parent, "elsewhere").unwrap();
    parent.create_dir(id.as_str()).unwrap();
    let second = account();
    assert!(!Arc::ptr_eq(&first, &second), "made by somebody else");
    assert_eq!(second.counted(), None);
    assert_eq!(first.enter(Quota { bytes: 0, entries: 0 }, 1, 0), Err(Full::Entries));
}

#[test]
fn a_folder_made_anew_inherits_nothing_though_it_has_the_inode_of_the_one_before() {
    let house = House::new();
    let parent = Dir::from_std_file(house.root());
    let (accounts, id) = (Accounts::default(), BundleId::parse("test.behaviours").unwrap());
    let open = || accounts.open(&parent, &id, Duration::ZERO).unwrap();
    let quota = Quota { bytes: 100, entries: 1 };
    // Some file systems give the number of a folder that is gone to the next one, some never do: it holds on both.
    for _ in 0..64 {
        let (folder, account) = open();
        assert_eq!(account.held(), (0, 0));
        account.enter(quota, 1, 100).unwrap();
        drop(folder);
        parent.remove_dir(id.as_str()).unwrap();
    }
}
