# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the convd authors
"""A test program built with a few lines of its sources changed: the product without one of its protections. Only the files that
a change touches are compiled again, into a temporary folder; the tree itself is not touched."""
import json
import os
import shlex
import subprocess

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN = ("interleave/", "torture/")  # folders of tests that build the libraries anew, with points


class Build:
    """A program of an existing build, linked anew with some of its files changed."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        with open(os.path.join(self.build, "compile_commands.json")) as f:
            self.compile = json.load(f)
        self.commands = {}

    def link_command(self, test):
        if test not in self.commands:
            lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "tests/" + test], capture_output=True, text=True,
                                   check=True).stdout.strip().split("\n")
            self.commands[test] = shlex.split(lines[-1])
        return list(self.commands[test])

    def compile_command(self, path, test):
        """How this file is compiled for this test: some have builds of the libraries of their own."""
        for c in self.compile:
            own = next((f for f in OWN if c["output"].startswith("tests/" + f)), None)
            if os.path.abspath(os.path.join(self.build, c["file"])) == os.path.join(HERE, path) and \
                    own == next((f for f in OWN if test.startswith(f)), None):
                return shlex.split(c["command"]), c["output"]
        raise SystemExit(f"variant.py: {path} is not part of {test}")

    def object_of(self, path, text, test, folder):
        """@return the changed object, and the one that it stands for"""
        command, output = self.compile_command(path, test)
        source, obj = os.path.join(folder, path), os.path.join(folder, path + ".o")
        os.makedirs(os.path.dirname(source), exist_ok=True)
        with open(source, "w") as f:
            f.write(text)
        first = 2 if command[0] == "ccache" else 1
        command = command[:first] + ["-I" + os.path.join(HERE, os.path.dirname(path))] + command[first:command.index("-MD")]
        command += ["-w", "-o", obj, "-c", source]
        done = subprocess.run(command, cwd=self.build, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"variant.py: {path} as changed does not compile:\n{done.stderr}")
        return obj, output

    def program(self, test, changes, folder):
        """@return the path of the program with these changes"""
        texts = {}
        for c in changes:
            if c.file not in texts:
                with open(os.path.join(HERE, c.file)) as f:
                    texts[c.file] = f.read()
            if texts[c.file].count(c.old) != 1:
                raise SystemExit(f"variant.py: {c.file} has {texts[c.file].count(c.old)} times, not once:\n{c.old}")
            texts[c.file] = texts[c.file].replace(c.old, c.new)
        command = self.link_command(test)
        for path, text in texts.items():
            obj, instead = self.object_of(path, text, test, folder)
            if instead in command:
                command[command.index(instead)] = obj
            else:  # in an archive, where it is then not looked for
                command.insert(command.index("-o") + 2, obj)
        out = os.path.join(folder, "program")
        command[command.index("-o") + 1] = out
        subprocess.run(command, cwd=self.build, check=True)
        return out
