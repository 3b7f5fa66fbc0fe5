//! The view for a process that only looks, beside a running hub or with it stopped.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use eventstore::Store;

use super::{Audit, Follow};
use crate::{
    check::snapshot,
    file::{self, Generation, Place, Reader},
    follow::catch_up,
    view::{Projection, ViewError},
};

/// How often, and how many times, a running hub is given the time to catch up.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 20;

/// The view as it stands at the log's head. End it with `close`.
pub struct AuditBeside {
    audit: Audit,
    /// A copy that was made for this, and the lock under which nobody else makes one.
    copy: Option<(PathBuf, std::fs::File)>,
}

impl AuditBeside {
    /// Takes the live view where it has seen everything; otherwise a copy, which is brought to the log's head.
    pub async fn open(folder: &Path, store: &Store) -> Result<Self, ViewError> {
        std::fs::create_dir_all(folder)?;
        let (place, head) = (Place::of::<Follow>(folder), store.log().head());
        let mut looks = 0;
        let live = loop {
            let Some(path) = place.current()? else { break None };
            let Some(live) = Generation::open::<Follow>(path).await? else { break None };
            if live.position() >= head {
                let readers = live.readers();
                live.close().await?;
                return Ok(Self { audit: Audit(Reader::new(readers)), copy: None });
            }
            if looks == LOOKS {
                break Some(live.path.clone());
            }
            looks += 1;
            tokio::time::sleep(LOOK).await;
        };
        let lock = place.lock()?;
        let copy = folder.join("audit.beside");
        file::remove(&copy)?;
        let mut own = if let Some(live) = live {
            snapshot(&live, &copy).await?;
            let opened = Generation::open::<Follow>(copy.clone()).await?;
            opened.ok_or_else(|| ViewError::Busy(Follow::NAME.to_owned()))?
        } else {
            Generation::create::<Follow>(copy.clone()).await?
        };
        catch_up::<Follow>(&mut own, store, head, |_| ()).await?;
        let readers = own.readers();
        own.close().await?;
        Ok(Self { audit: Audit(Reader::new(readers)), copy: Some((copy, lock)) })
    }

    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Lets go of the view, and of the copy where one was made.
    pub async fn close(self) -> Result<(), ViewError> {
        self.audit.0.pool().close().await;
        if let Some((copy, _)) = self.copy {
            file::remove(&copy)?;
        }
        Ok(())
    }
}
