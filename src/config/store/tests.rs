use std::fs;
use std::path::Path;

use futures_util::FutureExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::config::file::Folder;
use crate::config::{Change, SecretField};

const FOLDER: &str = ".puffin/config/remote-llm";

fn profile(id: &str) -> Profile {
    let mut profile = Profile {
        id: id.into(),
        name: "GPU box".into(),
        ..Profile::default()
    };
    profile.ssh.host = "gpu".into();
    profile.llm.api_endpoint = "http://localhost:8000".into();
    profile
}

/// The user's data are in the project's folder, too, where no test looks for them.
fn in_project() -> (TempDir, Store) {
    let project = tempfile::tempdir().unwrap();
    let store = window_on(project.path());
    (project, store)
}

fn window_on(project: &Path) -> Store {
    Store::open(Some(project.to_owned()), &project.join("data"))
}

fn in_memory() -> Store {
    Store::open(None, Path::new("/nowhere"))
}

async fn save(store: &Store, profile: Profile) -> Result<Loaded, Error> {
    let lock = store.lock().await?;
    store.save(profile, &lock).await
}

async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    let lock = store.lock().await?;
    store.delete(id, &lock).await
}

/// Approves of a profile, whatever it is.
async fn trust(store: &Store, id: &str) -> Loaded {
    let shown = store.get(id).await.unwrap();
    store.trust(id, shown.trust.digest).await.unwrap()
}

fn put(project: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::create_dir_all(project.join(FOLDER)).unwrap();
    fs::write(project.join(FOLDER).join(name), content).unwrap();
}

fn files(project: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(project.join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files
}

async fn ids(store: &Store) -> Vec<(String, bool)> {
    let all = store.list().await.unwrap();
    all.into_iter()
        .map(|listed| (listed.id, listed.loaded.is_ok()))
        .collect()
}

#[tokio::test]
async fn a_profile_is_saved_read_listed_and_deleted() {
    let (project, on_disk) = in_project();
    for store in [on_disk, in_memory()] {
        assert_eq!(ids(&store).await, []);
        let saved = save(&store, profile("gpu-1")).await.unwrap();
        assert_eq!(saved.profile, profile("gpu-1"));
        assert_eq!(store.get("gpu-1").await.unwrap(), saved);
        assert_eq!(ids(&store).await, [("gpu-1".into(), true)]);
        delete(&store, "gpu-1").await.unwrap();
        for missing in [
            delete(&store, "gpu-1").await,
            store.get("gpu-1").await.map(|_| ()),
        ] {
            assert!(matches!(missing, Err(Error::NotFound { id }) if id == "gpu-1"));
        }
    }
    assert_eq!(files(project.path()), [] as [&str; 0]);
}

#[tokio::test]
async fn an_absent_id_is_made_from_the_name_and_is_never_one_in_use() {
    let (project, on_disk) = in_project();
    put(project.path(), "GPU-BOX-1.json", "corrupt");
    for store in [on_disk, in_memory()] {
        let saving = (0..5).map(|_| save(&store, profile("")));
        let saved = futures_util::future::join_all(saving).await;
        let mut ids: Vec<_> = saved
            .into_iter()
            .map(|saved| saved.unwrap().profile.id)
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        assert!(ids.iter().all(|id| id.starts_with("gpu-box-")));
    }
    let corrupt = project.path().join(FOLDER).join("GPU-BOX-1.json");
    assert_eq!(fs::read(corrupt).unwrap(), b"corrupt");
}

#[tokio::test]
async fn an_id_that_differs_in_case_only_is_refused() {
    let (_project, store) = in_project();
    save(&store, profile("gpu")).await.unwrap();
    let refused = save(&store, profile("GPU")).await;
    assert!(matches!(refused, Err(Error::Invalid { field, .. }) if field == "configId"));
}

#[tokio::test]
async fn a_broken_file_hides_no_other_and_can_be_replaced_or_deleted() {
    let (project, store) = in_project();
    save(&store, profile("good")).await.unwrap();
    put(project.path(), "corrupt.json", "{\n\"password\": canary");
    put(
        project.path(),
        "invalid.json",
        r#"{"ssh": {"host": 5}, "llm": {}}"#,
    );
    put(project.path(), "newer.json", r#"{"version": 2}"#);
    put(project.path(), "odd name.json", "{}");
    put(project.path(), "odd\u{1b}\u{202e}.json", "{}");
    put(project.path(), "big.json", " ".repeat((1 << 20) + 1));
    put(project.path(), "notes.txt", "not a profile");
    put(project.path(), "._good.json", "of a file system");
    put(project.path(), ".#good.json", "of an editor");
    fs::create_dir(project.path().join(FOLDER).join("folder.json")).unwrap();

    let listed = store.list().await.unwrap();
    let summary: Vec<_> = listed
        .iter()
        .map(|listed| {
            let problem = match &listed.loaded {
                Ok(_) => "fine",
                Err(Error::Corrupt { line: 2, .. }) => "corrupt",
                Err(Error::Refused { problem, .. }) => problem,
                Err(Error::Invalid { field, .. }) => field,
                Err(other) => panic!("{other:?}"),
            };
            (listed.id.as_str(), problem)
        })
        .collect();
    let expected = [
        ("big", "is larger than 1 MiB"),
        ("corrupt", "corrupt"),
        ("folder", "is not a regular file"),
        ("good", "fine"),
        ("invalid", "ssh.host"),
        ("newer", "version"),
        ("odd\\u{1b}\\u{202e}", "configId"),
        ("odd name", "configId"),
    ];
    assert_eq!(summary, expected);
    assert!(!format!("{listed:?}").contains("canary"));

    save(&store, profile("corrupt")).await.unwrap();
    store.get("corrupt").await.unwrap();
    delete(&store, "invalid").await.unwrap();
}

#[tokio::test]
async fn unknown_fields_survive_an_edit_and_secrets_do_not() {
    let (project, store) = in_project();
    let mut file = serde_json::to_value(profile("gpu")).unwrap();
    file["later"] = json!({"a": [1, null], "apiKey": "canary"});
    file["ssh"]["later"] = json!(2);
    file["ssh"]["password"] = json!("canary");
    file["ssh"]["jumpHosts"] = json!([{"host": "b", "passphrase": "canary", "later": 3}]);
    file["llm"]["secretHeaders"] = json!({"X-Key": "canary"});
    file["llm"]["headers"] = json!({"Authorization": "canary", "X-Team": "a"});
    put(project.path(), "gpu.json", file.to_string());
    trust(&store, "gpu").await;

    let edited = store
        .edit("gpu", |profile| {
            profile.selected_model = Some("m".into());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(edited.profile.selected_model.as_deref(), Some("m"));
    let path = project.path().join(FOLDER).join("gpu.json");
    let text = fs::read_to_string(path).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let mut expected = file;
    expected["later"] = json!({"a": [1, null]});
    expected["ssh"].as_object_mut().unwrap().remove("password");
    expected["ssh"]["jumpHosts"] = json!([{"host": "b", "later": 3}]);
    expected["llm"]
        .as_object_mut()
        .unwrap()
        .remove("secretHeaders");
    expected["llm"]["headers"] = json!({"X-Team": "a"});
    expected["selectedModel"] = json!("m");
    expected["version"] = json!(1);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[tokio::test]
async fn an_edit_that_fails_changes_nothing() {
    let (project, store) = in_project();
    save(&store, profile("gpu")).await.unwrap();
    let path = project.path().join(FOLDER).join("gpu.json");
    let before = fs::read(&path).unwrap();
    let invalid = store
        .edit("gpu", |profile| {
            profile.ssh.host = "a b".into();
            Ok(())
        })
        .await;
    assert!(matches!(invalid, Err(Error::Invalid { field, .. }) if field == "ssh.host"));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(files(project.path()), ["gpu.json"]);
}

#[tokio::test]
async fn edits_of_one_profile_are_not_lost() {
    let (_project, store) = in_project();
    save(&store, profile("gpu")).await.unwrap();
    let edits = (0..20).map(|n| {
        store.edit("gpu", move |profile| {
            let aliases = &mut profile.llm.model_aliases;
            aliases.insert(format!("alias-{n}"), "m".into());
            Ok(())
        })
    });
    for edited in futures_util::future::join_all(edits).await {
        edited.unwrap();
    }
    let profile = store.get("gpu").await.unwrap().profile;
    assert_eq!(profile.llm.model_aliases.len(), 20);
}

#[tokio::test]
async fn the_lock_is_one_for_all_and_ends_with_its_last_clone() {
    let (project, store) = in_project();
    let other_window = window_on(project.path());
    let held = store.lock().await.unwrap();
    let also = held.clone();
    assert!(store.lock().now_or_never().is_none());
    drop(held);
    let busy = other_window.lock().await;
    assert!(matches!(busy, Err(Error::Busy)), "{busy:?}");
    drop(also);
    drop(other_window.lock().await.unwrap());
    drop(store.lock().await.unwrap());
}

#[tokio::test]
async fn a_profile_that_came_with_the_project_is_shown_and_not_used() {
    let (project, store) = in_project();
    let text = serde_json::to_string(&profile("gpu")).unwrap();
    put(project.path(), "gpu.json", &text);
    let shown = store.get("gpu").await.unwrap();
    assert!(!shown.trust.trusted);
    let is_untrusted = |result: Result<(), Error>| match result {
        Err(Error::Untrusted { id }) => assert_eq!(id, "gpu"),
        other => panic!("{other:?}"),
    };
    is_untrusted(store.trusted("gpu").await.map(drop));
    is_untrusted(store.edit("gpu", |_| Ok(())).await.map(drop));

    let stale = store.trust("gpu", "0".repeat(64)).await;
    assert!(
        matches!(stale, Err(Error::ChangedSince { .. })),
        "{stale:?}"
    );
    is_untrusted(store.trusted("gpu").await.map(drop));
    let digest = shown.trust.digest;
    assert!(
        store
            .trust("gpu", digest.clone())
            .await
            .unwrap()
            .trust
            .trusted
    );
    assert_eq!(store.trusted("gpu").await.unwrap(), profile("gpu"));
    // Form and order are nobody's business, every word is.
    let value: Value = serde_json::from_str(&text).unwrap();
    put(project.path(), "gpu.json", format!("{value:#}"));
    store.trusted("gpu").await.unwrap();
    put(project.path(), "gpu.json", text.replace("GPU box", "GPU"));
    is_untrusted(store.trusted("gpu").await.map(drop));
    // What the user had looked at was the other one.
    let stale = store.trust("gpu", digest).await;
    assert!(
        matches!(stale, Err(Error::ChangedSince { .. })),
        "{stale:?}"
    );
}

#[tokio::test]
async fn what_the_user_saves_is_trusted_until_somebody_else_changes_it() {
    let (project, store) = in_project();
    let saved = save(&store, profile("gpu")).await.unwrap();
    assert!(saved.trust.trusted);
    let path = project.path().join(FOLDER).join("gpu.json");
    let first = fs::read(&path).unwrap();
    let mut other = profile("gpu");
    other.ssh.host = "evil".into();
    save(&store, other).await.unwrap();
    store.trusted("gpu").await.unwrap();
    // It was the user's once; now it is a change like any other.
    fs::write(&path, first).unwrap();
    assert!(!store.get("gpu").await.unwrap().trust.trusted);
    save(&store, profile("gpu")).await.unwrap();
    assert!(
        window_on(project.path())
            .get("gpu")
            .await
            .unwrap()
            .trust
            .trusted
    );
    // Approvals go with their profile.
    let text = fs::read(&path).unwrap();
    delete(&store, "gpu").await.unwrap();
    fs::write(&path, text).unwrap();
    assert!(!store.get("gpu").await.unwrap().trust.trusted);
}

#[tokio::test]
async fn what_others_do_to_profiles_is_noticed_once_and_our_own_doing_is_not() {
    let (project, store) = in_project();
    let other = window_on(project.path());
    save(&store, profile("gpu")).await.unwrap();
    assert_eq!(store.changes().await, []);
    save(&store, profile("b")).await.unwrap();
    store.edit("b", |_| Ok(())).await.unwrap();
    assert_eq!(store.changes().await, []);

    let news = |id: &str, change| vec![(id.to_owned(), change)];
    save(&other, profile("c")).await.unwrap();
    assert_eq!(store.changes().await, news("c", Changed::Saved));
    assert_eq!(store.changes().await, []);
    let text = serde_json::to_string(&profile("gpu")).unwrap();
    put(project.path(), "gpu.json", text.replace("GPU box", "GPU"));
    assert_eq!(store.changes().await, news("gpu", Changed::Saved));
    trust(&other, "gpu").await;
    assert_eq!(store.changes().await, news("gpu", Changed::Saved));
    delete(&other, "gpu").await.unwrap();
    assert_eq!(store.changes().await, news("gpu", Changed::Deleted));
    delete(&store, "b").await.unwrap();
    assert_eq!(store.changes().await, []);
}

#[tokio::test]
async fn edits_of_two_windows_are_not_lost() {
    let (project, one) = in_project();
    save(&one, profile("gpu")).await.unwrap();
    let two = window_on(project.path());
    let edits = (0..40).map(|n| {
        let window = if n % 2 == 0 { &one } else { &two };
        window.edit("gpu", move |profile| {
            let aliases = &mut profile.llm.model_aliases;
            aliases.insert(format!("alias-{n}"), "m".into());
            Ok(())
        })
    });
    for edited in futures_util::future::join_all(edits).await {
        edited.unwrap();
    }
    let profile = two.trusted("gpu").await.unwrap();
    assert_eq!(profile.llm.model_aliases.len(), 40);
}

#[tokio::test]
async fn deleting_a_profile_deletes_its_secrets() {
    let (project, store) = in_project();
    let gpu = save(&store, profile("gpu")).await.unwrap().profile;
    let secret = Change::Set(SecretString::from("canary"));
    store
        .secrets()
        .apply(&gpu, [(SecretField::Password, secret)])
        .unwrap();
    save(&store, gpu.clone()).await.unwrap();
    let text = fs::read_to_string(project.path().join(FOLDER).join("gpu.json")).unwrap();
    assert!(!text.contains("canary"));
    assert!(!format!("{store:?}").contains("canary"));
    delete(&store, "gpu").await.unwrap();
    assert!(!store.secrets().has("gpu", &SecretField::Password));
}

#[tokio::test]
async fn the_files_name_counts_as_the_id() {
    let (project, store) = in_project();
    let text = serde_json::to_string(&profile("old")).unwrap();
    put(project.path(), "copy.json", format!("\u{feff}{text}"));
    let loaded = store.get("copy").await.unwrap();
    assert_eq!(loaded.profile, profile("copy"));
    assert!(loaded.warnings.iter().any(|warning| warning.field == "id"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn files_and_new_folders_are_their_owners_only() {
        let (project, store) = in_project();
        let puffin = project.path().join(".puffin");
        fs::create_dir(&puffin).unwrap();
        fs::set_permissions(&puffin, fs::Permissions::from_mode(0o755)).unwrap();
        save(&store, profile("gpu")).await.unwrap();
        assert_eq!(mode(&puffin), 0o755, "not ours to change");
        assert_eq!(mode(&puffin.join("config")), 0o700);
        assert_eq!(mode(&project.path().join(FOLDER)), 0o700);
        assert_eq!(mode(&project.path().join(FOLDER).join("gpu.json")), 0o600);
    }

    #[tokio::test]
    async fn a_file_open_to_others_is_closed_and_said_once() {
        let (project, store) = in_project();
        save(&store, profile("gpu")).await.unwrap();
        let path = project.path().join(FOLDER).join("gpu.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(store.get("gpu").await.unwrap().warnings.len(), 1);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(store.get("gpu").await.unwrap().warnings, []);
    }

    #[tokio::test]
    async fn links_are_not_followed() {
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("target");
        fs::write(&target, serde_json::to_string(&profile("link")).unwrap()).unwrap();
        let before = fs::read(&target).unwrap();

        let (project, store) = in_project();
        put(project.path(), "x.txt", "");
        symlink(&target, project.path().join(FOLDER).join("link.json")).unwrap();
        for refused in [store.get("link").await, save(&store, profile("link")).await] {
            assert!(
                matches!(refused, Err(Error::Refused { problem, .. }) if problem == "is a symbolic link")
            );
        }
        delete(&store, "link").await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), before);
    }

    #[tokio::test]
    async fn a_folder_that_is_a_link_is_refused() {
        let elsewhere = tempfile::tempdir().unwrap();
        let (project, store) = in_project();
        symlink(elsewhere.path(), project.path().join(".puffin")).unwrap();
        assert!(matches!(store.list().await, Err(Error::Refused { .. })));
        assert!(matches!(store.get("a").await, Err(Error::Refused { .. })));
        assert!(matches!(
            delete(&store, "a").await,
            Err(Error::Refused { .. })
        ));
        assert!(matches!(
            save(&store, profile("a")).await,
            Err(Error::Refused { .. })
        ));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    /// A folder in place of the file makes the last step, the rename, fail, whoever runs the
    /// test; a folder without write permission would not stop root.
    #[tokio::test]
    async fn a_failed_write_leaves_no_trace() {
        let (project, store) = in_project();
        put(project.path(), "x.txt", "");
        let place = project.path().join(FOLDER);
        fs::create_dir(place.join("gpu.json")).unwrap();
        assert!(save(&store, profile("gpu")).await.is_err());
        let folder = Folder::new(project.path().to_owned());
        assert!(!folder.write("gpu", b"new", true).unwrap());
        assert_eq!(files(project.path()), ["gpu.json", "x.txt"]);
    }

    #[tokio::test]
    async fn a_reader_finds_the_old_content_or_the_new_one() {
        let (project, store) = in_project();
        save(&store, profile("gpu")).await.unwrap();
        let path = project.path().join(FOLDER).join("gpu.json");
        // Opened before the write: an overwrite in place would show through.
        let old = fs::File::open(&path).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let mut longer = profile("gpu");
        longer.name = "x".repeat(200);
        save(&store, longer).await.unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), before);
        assert_ne!(fs::read_to_string(&path).unwrap(), before);
    }
}
