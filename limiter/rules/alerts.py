"""Everything that operators can be told: each alert one row, with its sentence in French and English. Facts fill it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limiter.rules import deliveries, guards
from limiter.rules.records import Incident
from limiter.rules.words import figures


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that can be told: its name, how bad it is, how long it must be so first, and what is said."""

    name: str
    severity: str  # info, success, warning or failure
    fr: str
    en: str
    rise_seconds: int = 0

    def sentence(self, language: str, facts: Mapping[str, Any]) -> str:
        """The sentence for the operator, in `fr` or `en`."""
        if "held_by" in facts:
            facts = {**facts, "held_by": guards.said(guards.from_facts(facts["held_by"])).told(language)}
        return (self.en if language == "en" else self.fr).format_map(figures(facts, language))


LEVELS = (
    Alert("threshold", "warning", "⚠️ Capacité à {percent} % !", "⚠️ Capacity at {percent}%!"),
    Alert("urgent", "failure", "🚨 URGENT : Presque plein !", "🚨 URGENT: Almost full!"),
    Alert("full", "failure", "❌ SERVEUR PLEIN !", "❌ SERVER FULL!"),
)
"""Of the occupancy, by rank."""

RULES = (
    Alert("feed", "failure", "📉 Flux à plat : {tokens} tokens/min", "📉 Feed is flat: {tokens} tokens/min", 60),
    Alert("snapshots", "failure", "🕳️ Aucune mesure depuis {seconds:.0f} s", "🕳️ No sample for {seconds:.0f} s"),
    Alert(
        "disk",
        "failure",
        "💾 Disque presque plein : {free:.0f} Mio {free:libre|libres}",
        "💾 Disk nearly full: {free:.0f} MiB free",
    ),
    Alert(
        "clock", "warning", "🕒 L'horloge a été décalée de {step:+.1f} s", "🕒 The clock was moved by {step:+.1f} s", 2
    ),
    Alert("plan", "warning", "⏸️ Plan de lancement retenu : {held_by}", "⏸️ Launch plan held: {held_by}"),
    Alert("windows", "warning", "⏸️ Plage horaire retenue : {held_by}", "⏸️ Window held: {held_by}"),
    Alert("backup", "warning", "🗄️ Dernière sauvegarde il y a {hours:.0f} h", "🗄️ Last backup {hours:.0f} h ago"),
    Alert(
        "drift",
        "warning",
        "🧮 Compte des places faux de {drift} : réparé",
        "🧮 The count of slots was wrong by {drift}: repaired",
    ),
    Alert(
        "damage",
        "failure",
        "🧱 Base endommagée : restaure une sauvegarde ({problem})",
        "🧱 Database damaged: restore a backup ({problem})",
    ),
    Alert(
        "audit",
        "failure",
        "✂️ La fin du journal d'audit manque ou a changé : « limiter check » dit quoi",
        "✂️ The end of the audit is missing or was changed: `limiter check` says what",
    ),
    Alert(
        "strangers",
        "warning",
        "👻 Bots sans place : {n}, dont le processus {pid} ({name}). Une place, là où il tourne : "
        "limiter run --adopt {pid} --user U",
        "👻 Bots without a slot: {n}, among them process {pid} ({name}). A slot, where it runs: "
        "limiter run --adopt {pid} --user U",
    ),
)
"""Of readings. A condition whose reading is not known leaves things as they are."""

OUTAGE = Alert(
    "storage", "failure", "⛔ Base de données indisponible : démarrages refusés", "⛔ Database away: starts are refused"
)
FULL_DISK = Alert(
    "disk_full", "failure",
    "⛔ Disque plein : démarrages refusés, les bots peuvent s'arrêter. Fais de la place",
    "⛔ Disk full: starts are refused, bots can stop. Make room",
)  # fmt: skip
FILE = Alert(
    "file", "failure",
    "⛔ Base de données déplacée, remplacée ou effacée : démarrages refusés. Tout ce qui était confirmé : {saved}",
    "⛔ Database moved, replaced or deleted: starts are refused. All that was acknowledged: {saved}",
)  # fmt: skip
FILE_UNSAVED = Alert(
    "file_unsaved", "failure",
    "⛔ Base de données effacée : démarrages refusés. Ce qui était confirmé ne vit plus que dans ce processus :"
    " ne l'arrête pas, fais de la place sur le disque",
    "⛔ Database deleted: starts are refused. What was acknowledged lives in this process alone: do not stop it, make"
    " room on the disk",
)  # fmt: skip
FILE_SPOILED = Alert(
    "file_spoiled", "failure",
    "⛔ Base de données écrasée par un autre programme : démarrages refusés. Arrête le limiteur et remets une"
    " sauvegarde (limiter restore) ; si ce n'était qu'un `touch -m`, supprime plutôt le fichier .spoiled",
    "⛔ Database written over by another program: starts are refused. Stop the limiter and restore a backup"
    " (limiter restore); if it was only a `touch -m`, remove the .spoiled file instead",
)  # fmt: skip
UNCONFIRMED = Alert(
    "unconfirmed", "warning",
    "↩️ {name} {before} → {after} : changement à l'essai, non confirmé à temps",
    "↩️ {name} {before} → {after}: change on probation, not confirmed in time",
)  # fmt: skip
TRIPPED = Alert(
    "tripped", "failure",
    "↩️ {name} {before} → {after} : changement à l'essai, repris après une minute : {held_by}",
    "↩️ {name} {before} → {after}: change on probation, taken back after a minute: {held_by}",
)  # fmt: skip
RESOLVED = Alert(
    "resolved", "success", "✅ Terminé après {minutes} min : {message}", "✅ Over after {minutes} min: {message}"
)
TEST = Alert(deliveries.TEST, "info", "🔔 Message d'essai du limiteur", "🔔 Test message of the limiter")
ALERTS = {
    alert.name: alert
    for alert in (
        *LEVELS,
        *RULES,
        OUTAGE,
        FULL_DISK,
        FILE,
        FILE_UNSAVED,
        FILE_SPOILED,
        UNCONFIRMED,
        TRIPPED,
        RESOLVED,
        TEST,
    )
}


def message(incident: Incident, language: str) -> str:
    """What fired, in `fr` or `en`; as it was sent where it was sent before facts were kept."""
    return incident.message or ALERTS[incident.crossings[-1].level].sentence(language, incident.facts)
