//! What can be said of compose.yaml, the Dockerfile and the scripts without an engine.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use serde_yaml_ng::{Mapping, Value};

use crate::{
    REPOSITORY,
    support::{Scratch, TIERSCOPE, end},
};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(REPOSITORY).join(name)).expect(name)
}

/// The services of compose.yaml, what they share merged into each.
fn services() -> Mapping {
    let mut file: Value = serde_yaml_ng::from_str(&read("compose.yaml")).expect("YAML");
    file.apply_merge().expect("merged");
    file["services"].as_mapping().expect("services").clone()
}

#[test]
fn every_service_has_no_more_than_it_needs() {
    let services = services();
    let names: Vec<_> = services.keys().filter_map(Value::as_str).collect();
    assert_eq!(names, ["postgres", "app", "nginx", "load", "tracer"]);
    for (name, service) in &services {
        let name = name.as_str().expect("a name");
        let build = &service["build"];
        assert_eq!(
            build["args"]["BASE"], "${BASE:-debian:bookworm-slim}",
            "{name}"
        );
        assert_eq!(build["target"], name);
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        if name == "tracer" {
            continue;
        }
        // Nothing is published, and no namespace is shared with the host or another container.
        for key in [
            "ports",
            "privileged",
            "cap_add",
            "network_mode",
            "pid",
            "ipc",
            "volumes",
        ] {
            assert!(service.get(key).is_none(), "{name} has {key}");
        }
        assert_eq!(service["networks"][0], "lab", "{name}");
    }
}

#[test]
fn the_tracer_has_the_hosts_processes_and_no_more_than_it_names() {
    let tracer = &services()["tracer"];
    assert_eq!(tracer["pid"], "host");
    assert_eq!(tracer["network_mode"], "none");
    assert!(tracer.get("privileged").is_none());
    let added = tracer["cap_add"].as_sequence().expect("capabilities");
    assert!(!added.contains(&Value::from("ALL")));
    assert_eq!(tracer["profiles"][0], "tracer", "it is not started by `up`");
}

#[test]
fn every_server_is_waited_for_until_it_is_healthy() {
    let services = services();
    for (after, before) in [("app", "postgres"), ("nginx", "app"), ("load", "nginx")] {
        let condition = &services[after]["depends_on"][before]["condition"];
        assert_eq!(condition, "service_healthy", "{after}");
        assert!(
            services[before]["healthcheck"]["test"][1].is_string(),
            "{before}"
        );
    }
    let load = &services["load"];
    assert_eq!(load["stdin_open"], true, "it is let go by a line");
    let command = load["command"].as_sequence().expect("a command");
    assert!(command.contains(&Value::from("--hold")));
}

/// The settings that the lab of the host has are copied from where it has them, and nothing is compiled.
#[test]
fn images_are_made_of_what_is_there() {
    let (text, context) = (read("lab/containers/Dockerfile"), read(".dockerignore"));
    let copies = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let mut sources = Vec::new();
    for copy in copies {
        let (from, _to) = copy.rsplit_once(' ').expect("two paths");
        sources.extend(from.split(' '));
    }
    for source in &sources {
        let mut allowed = context.lines().filter_map(|line| line.strip_prefix('!'));
        assert!(
            allowed.any(|path| Path::new(source).starts_with(path)),
            "{source}"
        );
        let built = source.starts_with("target/containers/");
        assert!(
            built || Path::new(REPOSITORY).join(source).exists(),
            "{source}"
        );
    }
    for shared in [
        "lab/postgres",
        "nginx/nginx.conf.template",
        "lab/app/templates",
    ] {
        assert!(sources.contains(&shared), "{shared}");
    }
    let bases = text.lines().filter(|line| line.starts_with("FROM "));
    assert!(
        bases
            .into_iter()
            .all(|line| line.starts_with("FROM ${BASE} AS "))
    );
    for tool in ["clang", "gcc", "cargo", "build-essential"] {
        assert!(!text.contains(tool), "{tool}");
    }
}

#[test]
fn nginx_has_the_same_configuration_as_on_the_host() {
    let scratch = Scratch::new();
    symlink("/bin/true", scratch.path("nginx")).expect("a stand-in");
    let mut script = Command::new(Path::new(REPOSITORY).join("lab/containers/nginx"));
    script.args(["0.0.0.0:8080", "app:8080", &scratch.path("home")]);
    script.env("PATH", format!("{}:/usr/bin:/bin", scratch.path("")));
    end(&mut script).with(0);
    let listen = "0.0.0.0:8080".parse().expect("an address");
    let expected = tierscope_stack::nginx::configuration(listen, "app:8080", 2, 0);
    let made = fs::read_to_string(scratch.path("home/nginx/nginx.conf"));
    assert_eq!(made.expect("made"), expected);
}

#[test]
fn docker_compose_takes_the_file() {
    let mut compose = Command::new("docker-compose");
    compose.args(["config", "--quiet"]).current_dir(REPOSITORY);
    match compose.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        Err(error) => println!("skipped: docker-compose: {error}"),
    }
}

/// An engine of another host tells a pid that is somebody else's here.
#[test]
fn a_container_out_of_sight_is_refused() {
    let scratch = Scratch::new();
    let record = |path: &str| {
        let mut command = Command::new(TIERSCOPE);
        command.args([
            "record",
            "--container=nginx=shop",
            "--out",
            &scratch.path("x.tsrec"),
        ]);
        end(command.env("PATH", path)).with(1).err
    };
    let said = record("/nowhere");
    assert!(said.contains("cannot run docker"), "{said}");
    for (answer, reason) in [
        (
            "echo 4bf92f3577b34da6 1",
            "container shop: its process 1 is not seen from here",
        ),
        ("echo 4bf92f3577b34da6 0", "container shop does not run"),
        (
            "echo No such container: shop >&2; exit 1",
            "No such container: shop",
        ),
    ] {
        let docker = scratch.write("docker", &format!("#!/bin/sh\n{answer}\n"));
        fs::set_permissions(&docker, Permissions::from_mode(0o755)).expect("executable");
        let said = record(&scratch.path(""));
        assert!(said.contains(reason), "{said}");
    }
}
