//! PostgreSQL's wait events by number, as PostgreSQL 15 has them (`wait_event.h`, `lwlock.h`).
//!
//! A class is the same in all versions; the events of a class are numbered anew in each, so another
//! version's may come out under a neighbour's name. What is beyond the tables is told by its number.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use smol_str::format_smolstr;
use tierscope_model::SmolStr;

use crate::lock;

const ACTIVITY: &str = "\
    ArchiverMain AutoVacuumMain BgWriterHibernate BgWriterMain CheckpointerMain LogicalApplyMain \
    LogicalLauncherMain RecoveryWalStream SysLoggerMain WalReceiverMain WalSenderMain \
    WalWriterMain";

const CLIENT: &str = "\
    ClientRead ClientWrite GSSOpenServer LibPQWalReceiverConnect LibPQWalReceiverReceive \
    SSLOpenServer WalSenderWaitForWAL WalSenderWriteData";

const IPC: &str = "\
    AppendReady ArchiveCleanupCommand ArchiveCommand BackendTermination BackupWaitWalArchive \
    BgWorkerShutdown BgWorkerStartup BtreePage BufferIO CheckpointDone CheckpointStart \
    ExecuteGather HashBatchAllocate HashBatchElect HashBatchLoad HashBuildAllocate \
    HashBuildElect HashBuildHashInner HashBuildHashOuter HashGrowBatchesAllocate \
    HashGrowBatchesDecide HashGrowBatchesElect HashGrowBatchesFinish HashGrowBatchesRepartition \
    HashGrowBucketsAllocate HashGrowBucketsElect HashGrowBucketsReinsert LogicalSyncData \
    LogicalSyncStateChange MessageQueueInternal MessageQueuePutMessage MessageQueueReceive \
    MessageQueueSend ParallelBitmapScan ParallelCreateIndexScan ParallelFinish \
    ProcArrayGroupUpdate ProcSignalBarrier Promote RecoveryConflictSnapshot \
    RecoveryConflictTablespace RecoveryEndCommand RecoveryPause ReplicationOriginDrop \
    ReplicationSlotDrop RestoreCommand SafeSnapshot SyncRep WalReceiverExit WalReceiverWaitStart \
    XactGroupUpdate";

const TIMEOUT: &str = "\
    BaseBackupThrottle CheckpointWriteDelay PgSleep RecoveryApplyDelay \
    RecoveryRetrieveRetryInterval RegisterSyncRequest VacuumDelay VacuumTruncate";

const IO: &str = "\
    BaseBackupRead BaseBackupSync BaseBackupWrite BufFileRead BufFileWrite BufFileTruncate \
    ControlFileRead ControlFileSync ControlFileSyncUpdate ControlFileWrite \
    ControlFileWriteUpdate CopyFileRead CopyFileWrite DataFileExtend DataFileFlush \
    DataFileImmediateSync DataFilePrefetch DataFileRead DataFileSync DataFileTruncate \
    DataFileWrite DSMFillZeroWrite LockFileAddToDataDirRead LockFileAddToDataDirSync \
    LockFileAddToDataDirWrite LockFileCreateRead LockFileCreateSync LockFileCreateWrite \
    LockFileReCheckDataDirRead LogicalRewriteCheckpointSync LogicalRewriteMappingSync \
    LogicalRewriteMappingWrite LogicalRewriteSync LogicalRewriteTruncate LogicalRewriteWrite \
    RelationMapRead RelationMapSync RelationMapWrite ReorderBufferRead ReorderBufferWrite \
    ReorderLogicalMappingRead ReplicationSlotRead ReplicationSlotRestoreSync ReplicationSlotSync \
    ReplicationSlotWrite SLRUFlushSync SLRURead SLRUSync SLRUWrite SnapbuildRead SnapbuildSync \
    SnapbuildWrite TimelineHistoryFileSync TimelineHistoryFileWrite TimelineHistoryRead \
    TimelineHistorySync TimelineHistoryWrite TwophaseFileRead TwophaseFileSync TwophaseFileWrite \
    VersionFileWrite WALSenderTimelineHistoryRead WALBootstrapSync WALBootstrapWrite WALCopyRead \
    WALCopySync WALCopyWrite WALInitSync WALInitWrite WALRead WALSync WALSyncMethodAssign \
    WALWrite VersionFileSync";

const LWLOCK: &str = "\
    - ShmemIndex OidGen XidGen ProcArray SInvalRead SInvalWrite WALBufMapping WALWrite \
    ControlFile - XactSLRU SubtransSLRU MultiXactGen MultiXactOffsetSLRU MultiXactMemberSLRU \
    RelCacheInit CheckpointerComm TwoPhaseState TablespaceCreate BtreeVacuum AddinShmemInit \
    Autovacuum AutovacuumSchedule SyncScan RelationMapping NotifySLRU NotifyQueue \
    SerializableXactHash SerializableFinishedList SerializablePredicateList SerialSLRU SyncRep \
    BackgroundWorker DynamicSharedMemoryControl AutoFile ReplicationSlotAllocation \
    ReplicationSlotControl CommitTsSLRU CommitTs ReplicationOrigin MultiXactTruncation \
    OldSnapshotTimeMap LogicalRepWorker XactTruncation - WrapLimitsVacuum NotifyQueueTail \
    XactBuffer CommitTsBuffer SubtransBuffer MultiXactOffsetBuffer MultiXactMemberBuffer \
    NotifyBuffer SerialBuffer WALInsert BufferContent ReplicationOriginState ReplicationSlotIO \
    LockFastPath BufferMapping LockManager PredicateLockManager ParallelHashJoin \
    ParallelQueryDSA PerSessionDSA PerSessionRecordType PerSessionRecordTypmod SharedTupleStore \
    SharedTidBitmap ParallelAppend PerXactPredicateList PgStatsDSA PgStatsHash PgStatsData";

/// The classes with tables, by their number.
const CLASSES: [(u32, &str, &str); 6] = [
    (0x01, "LWLock", LWLOCK),
    (0x05, "Activity", ACTIVITY),
    (0x06, "Client", CLIENT),
    (0x08, "IPC", IPC),
    (0x09, "Timeout", TIMEOUT),
    (0x0a, "IO", IO),
];

/// All that the tables name.
static KNOWN: LazyLock<FxHashMap<u32, SmolStr>> = LazyLock::new(|| {
    let events = |(number, class, names): (u32, &'static str, &'static str)| {
        let names = (0..).zip(names.split_ascii_whitespace());
        let names = names.filter(|(_, name)| *name != "-");
        names.map(move |(event, name)| (number << 24 | event, format_smolstr!("{class}: {name}")))
    };
    CLASSES.into_iter().flat_map(events).collect()
});

/// The wait event's class and name, e.g. `Lock: transactionid`; none for 0, no wait.
pub(crate) fn name(info: u32) -> Option<SmolStr> {
    if info == 0 {
        return None;
    }
    let (class, event) = (info >> 24, info & 0xffff);
    if let Some(known) = KNOWN.get(&(class << 24 | event)) {
        return Some(known.clone());
    }
    let table = CLASSES.iter().find(|(number, ..)| *number == class);
    Some(match (class, table) {
        (_, Some((_, class, _))) => format_smolstr!("{class} {event:#x}"),
        (0x03, _) => format_smolstr!("Lock: {}", lock::type_name(u64::from(event))),
        (0x04, _) => SmolStr::new_static("BufferPin: BufferPin"),
        (0x07, _) => SmolStr::new_static("Extension: Extension"),
        _ => format_smolstr!("wait event {info:#010x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_headers() {
        let cases = [
            (0x0600_0000, "Client: ClientRead"),
            (0x0300_0005, "Lock: transactionid"),
            (0x0100_0004, "LWLock: ProcArray"),
            (0x0100_0000 + 48 + 8, "LWLock: BufferContent"),
            (0x0100_03e7, "LWLock 0x3e7"),
            (0x0900_0002, "Timeout: PgSleep"),
            (0x0a00_0011, "IO: DataFileRead"),
            (0x0a00_0048, "IO: WALWrite"),
            (0x0a00_0046, "IO: WALSync"),
            (0xee00_0001, "wait event 0xee000001"),
        ];
        for (info, wanted) in cases {
            assert_eq!(name(info).as_deref(), Some(wanted), "{info:#x}");
        }
        assert_eq!(name(0), None);
    }
}
