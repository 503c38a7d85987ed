"""What the directives of the headers make of a description: what ``_directives`` does to an interface."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
# Wrappers whose functions still take and return what the header says, text apart.
OF_PYTHY = ("decode_string_rtn", "encode_string_args")


def apply(description: Row) -> Row:
    """The description with classes, and with functions as they are called; it is not changed itself."""
    return _Application(description).applied()


class _Application:
    def __init__(self, description: Row) -> None:
        self.description = description
        self.directives: Row = description["directives"]
        self.rows: dict[str, Row] = {row["c_name"]: row for row in description["functions"]}
        self.private = set(self.directives["private"])
        self.aliases: dict[str, list[str]] = {}
        for alias in self.directives["aliases"]:
            self.aliases.setdefault(alias["function"], []).append(alias["name"])
        self.measured = {one["function"] for one in self.directives["lengths"] if one["parameter"] is None}
        classes = self.directives["classes"]
        self.inits = {one["init"] for one in classes}
        self.of_class = self.inits.union(*(one["methods"] for one in classes))
        self.records = self.record_names()
        of_record = description["class_records"]
        self.classes = {
            self.records[of_record[one["argument"]]]: one["name"]
            for one in classes
            if one["argument"] in of_record
        }

    def record_names(self) -> dict[str, str]:
        """The names of records: a class takes the name that it needs."""
        taken = {one["name"] for one in self.directives["classes"]}
        names = [row["name"] for row in self.description["records"]]
        names += self.description["class_records"].values()
        return {name: f"_Record_{name}" if name in taken else name for name in names}

    def applied(self) -> Row:
        described: Row = self.renamed(self.description)
        self.rows = {row["c_name"]: row for row in described["functions"]}
        taken = {one["name"] for one in self.directives["classes"]}
        kept = [row for row in described["functions"] if row["c_name"] not in self.private]
        hidden = [row for row in described["functions"] if row["c_name"] in self.private]
        return {
            **described,
            "classes": [self.made(one) for one in self.directives["classes"]],
            "functions": [self.function(row, name) for row in kept for name in self.names(row)],
            "skipped": [*described["skipped"], *({**row, "reason": "it is private"} for row in hidden)],
            "typedefs": [row for row in described["typedefs"] if row["name"] not in taken],
        }

    def renamed(self, what: Any) -> Any:
        """The same with the records' names."""
        if isinstance(what, list):
            return [self.renamed(one) for one in what]
        if not isinstance(what, dict):
            return what
        changed = {key: self.renamed(value) for key, value in what.items()}
        if changed.get("kind") == "record" or ("fields" in changed and "size" in changed):
            changed["name"] = self.records.get(changed["name"], changed["name"])
        if "alias" in changed:
            changed["alias"] = self.records.get(changed["alias"], changed["alias"])
        return changed

    def names(self, row: Row) -> list[str]:
        others = [] if row["c_name"] in self.of_class else self.aliases.get(row["c_name"], [])
        return list(dict.fromkeys([row["name"], *others]))

    def function(self, row: Row, name: str) -> Row:
        """The function with the types that it takes and gives."""
        c_name = row["c_name"]
        wrappers = [one["name"] for one in self.directives["wrappers"] if c_name in one["functions"]]
        parameters = [{**one, "type": self.parameter(one["type"])} for one in row["parameters"]]
        result = row["result"]
        if c_name in self.measured:
            result = {"kind": "measured"}
        elif c_name not in self.inits:
            result = self.as_object(result)
        if "decode_string_rtn" in wrappers and result["kind"] in ("text", "measured", "char", "bytes"):
            result = {"kind": "decoded"}
        custom = any(one not in OF_PYTHY for one in wrappers)
        return {**row, "name": name, "parameters": parameters, "result": result, "custom": custom}

    def parameter(self, ty: Row) -> Row:
        if self.directives["classes"] and ty["kind"] == "pointer" and ty["to"]["kind"] == "void":
            return {"kind": "anything", "pointer": ty}
        return self.as_object(ty)

    def as_object(self, ty: Row) -> Row:
        to = ty["to"] if ty["kind"] == "pointer" else {"kind": ""}
        name = self.classes.get(to["name"]) if to["kind"] == "record" else None
        return {"kind": "object", "name": name, "pointer": ty} if name else ty

    def made(self, described: Row) -> Row:
        argument, place = described["argument"], described["location"]
        frees = [one["function"] for one in self.directives["cleanups"] if one["class"] == argument]
        closable = any(c_name in self.rows for c_name in frees)
        methods = {}
        for c_name in described["methods"]:
            if (row := self.rows.get(c_name)) is None or c_name in self.private:
                continue
            for name in self.aliases.get(c_name, [row["name"]]):
                if not (name == "close" and closable and c_name in frees):
                    methods[name] = self.function(row, name)
        properties = {
            one["name"]: [self.rows.get(one[kind] or "") for kind in ("getter", "setter")]
            for one in described["properties"]
        }
        for name, accessors in properties.items():
            methods.pop(name, None)
            properties[name] = [row and self.function(row, name) for row in accessors]
        record = self.records.get(self.description["class_records"].get(argument, ""))
        docs = (row["doc"] for row in self.description["records"] if self.records[row["name"]] == record)
        init = self.rows.get(described["init"] or "")
        return {
            "name": described["name"],
            "doc": next(docs, None),
            "record": record,
            "closable": closable,
            "init": init and self.function(init, "__init__"),
            "methods": list(methods.values()),
            "properties": [
                {"name": name, "getter": getter, "setter": setter}
                for name, (getter, setter) in properties.items()
            ],
            "file": place["file"],
            "line": place["line"],
            "column": place["column"],
        }
