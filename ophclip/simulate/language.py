"""The symbolic language: procedure -> phases -> actions -> instrument, target, medication, complication.

One `Program` is the source of a video's picture, narration, title and labels, so that truth is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ophclip.simulate.config import Site


class Procedure(StrEnum):
    PHACO = "phacoemulsification"
    TRABECULECTOMY = "trabeculectomy"
    KERATOPLASTY = "penetrating keratoplasty"


class Technique(StrEnum):
    """How the surgeon does the central step."""

    DIVIDE_AND_CONQUER = "divide and conquer"
    PHACO_CHOP = "phaco chop"
    MITOMYCIN = "mitomycin C"
    INTERRUPTED_SUTURES = "interrupted sutures"


class Finding(StrEnum):
    """What is special about the eye."""

    WHITE_CATARACT = "white cataract"
    BRUNESCENT_CATARACT = "brunescent cataract"
    SMALL_PUPIL = "small pupil"
    OPEN_ANGLE_GLAUCOMA = "open-angle glaucoma"
    CORNEAL_SCAR = "corneal scar"
    BULLOUS_KERATOPATHY = "bullous keratopathy"


class PhaseName(StrEnum):
    """Labels: the ten of Cataract-101, then those of OphNet that the other procedures pass through."""

    INCISION = "Incision"
    VISCOUS_INJECTION = "Viscous agent injection"
    RHEXIS = "Rhexis"
    HYDRODISSECTION = "Hydrodissection"
    PHACOEMULSIFICATION = "Phacoemulsification"
    IRRIGATION_ASPIRATION = "Irrigation and aspiration"
    CAPSULE_POLISHING = "Capsule polishing"
    LENS_IMPLANT = "Lens implant setting-up"
    VISCOUS_REMOVAL = "Viscous agent removal"
    TONIFYING = "Tonifying and antibiotics"
    VISCOELASTIC_INJECTION = "Viscoelastic Injection"
    INCISION_CLOSURE = "Incision Closure"
    RECIPIENT_BED = "Recipient Corneal Bed Preparation"
    CHAMBER_WASHING = "Anterior Chamber Injection/Washing"
    GRAFT_SUTURING = "Corneal Graft Suturing"
    SWAB_WIPING = "Swab Wiping"
    CONJUNCTIVAL_INCISION = "Conjunctival Incision Creation"
    SUBCONJUNCTIVAL_INJECTION = "Subconjunctival Drug Injection"
    SCLERAL_HEMOSTASIS = "Scleral Hemostasis"
    SCLERAL_FLAP = "Scleral Flap Creation"
    CORNEAL_MEASUREMENT = "Corneal Measurement"
    FLAP_SUTURING = "Scleral Flap Suturing"
    IRIDECTOMY = "Peripheral Iridectomy"
    ANTIMETABOLITE = "Antimetabolite Application"
    TRABECULECTOMY = "Trabeculectomy"


CATARACT101_IDS = {name: number for number, name in enumerate(list(PhaseName)[:10], start=1)}

OPHNET_IDS = {
    PhaseName.VISCOELASTIC_INJECTION: 0,
    PhaseName.INCISION_CLOSURE: 5,
    PhaseName.RECIPIENT_BED: 9,
    PhaseName.CHAMBER_WASHING: 10,
    PhaseName.GRAFT_SUTURING: 13,
    PhaseName.SWAB_WIPING: 16,
    PhaseName.CONJUNCTIVAL_INCISION: 17,
    PhaseName.SUBCONJUNCTIVAL_INJECTION: 21,
    PhaseName.SCLERAL_HEMOSTASIS: 23,
    PhaseName.SCLERAL_FLAP: 28,
    PhaseName.CORNEAL_MEASUREMENT: 33,
    PhaseName.FLAP_SUTURING: 34,
    PhaseName.IRIDECTOMY: 37,
    PhaseName.ANTIMETABOLITE: 39,
    PhaseName.TRABECULECTOMY: 50,
}


class Instrument(StrEnum):
    """Everything a hand brings into the picture, in the order of the truth columns."""

    KERATOME = "keratome"
    SIDE_PORT_KNIFE = "side-port knife"
    VISCOELASTIC_CANNULA = "viscoelastic cannula"
    CYSTOTOME = "cystotome"
    CAPSULORHEXIS_FORCEPS = "capsulorhexis forceps"
    HYDRODISSECTION_CANNULA = "hydrodissection cannula"
    PHACO_HANDPIECE = "phaco handpiece"
    CHOPPER = "chopper"
    IRRIGATION_ASPIRATION = "irrigation-aspiration handpiece"
    LENS_INJECTOR = "lens injector"
    SINSKEY_HOOK = "Sinskey hook"
    RYCROFT_CANNULA = "Rycroft cannula"
    NEEDLE_HOLDER = "needle holder"
    SUTURE_NEEDLE = "suture needle"
    TOOTHED_FORCEPS = "toothed forceps"
    VANNAS_SCISSORS = "Vannas scissors"
    CRESCENT_KNIFE = "crescent knife"
    CAUTERY = "cautery"
    SPONGE = "sponge"
    TREPHINE = "trephine"
    CALIPER = "caliper"


class Target(StrEnum):
    CORNEA = "cornea"
    LIMBUS = "limbus"
    ANTERIOR_CHAMBER = "anterior chamber"
    ANTERIOR_CAPSULE = "anterior capsule"
    NUCLEUS = "nucleus"
    CORTEX = "cortex"
    POSTERIOR_CAPSULE = "posterior capsule"
    CAPSULAR_BAG = "capsular bag"
    LENS = "intraocular lens"
    WOUND = "wound"
    CONJUNCTIVA = "conjunctiva"
    SCLERA = "sclera"
    SCLERAL_FLAP = "scleral flap"
    SCLEROSTOMY = "sclerostomy"
    IRIS = "iris"
    GRAFT = "donor graft"


class Medication(StrEnum):
    VISCOELASTIC = "viscoelastic"
    TRYPAN_BLUE = "trypan blue"
    SALINE = "balanced salt solution"
    CEFUROXIME = "cefuroxime"
    MITOMYCIN = "mitomycin C"
    DEXAMETHASONE = "dexamethasone"


class Complication(StrEnum):
    BLEEDING = "bleeding"
    IRIS_PROLAPSE = "iris prolapse"


class Verb(StrEnum):
    """What is done; each one drives a motion, a change of tissue and a set of phrases."""

    CUT_SIDE_PORT = "cut side port"
    CUT_MAIN_WOUND = "cut main wound"
    STAIN_CAPSULE = "stain capsule"
    FILL_CHAMBER = "fill chamber"
    PUNCTURE_CAPSULE = "puncture capsule"
    TEAR_CAPSULE = "tear capsule"
    HYDRODISSECT = "hydrodissect"
    ROTATE_NUCLEUS = "rotate nucleus"
    SCULPT = "sculpt"
    CRACK = "crack"
    REMOVE_FRAGMENTS = "remove fragments"
    ASPIRATE_CORTEX = "aspirate cortex"
    POLISH = "polish"
    FILL_BAG = "fill bag"
    INJECT_LENS = "inject lens"
    DIAL_LENS = "dial lens"
    ASPIRATE_VISCOELASTIC = "aspirate viscoelastic"
    HYDRATE = "hydrate"
    GIVE_ANTIBIOTIC = "give antibiotic"
    WIPE = "wipe"
    OPEN_CONJUNCTIVA = "open conjunctiva"
    CAUTERISE = "cauterise"
    DISSECT_FLAP = "dissect flap"
    SOAK_MITOMYCIN = "soak mitomycin"
    EXCISE_BLOCK = "excise block"
    CUT_IRIS = "cut iris"
    SUTURE_FLAP = "suture flap"
    REFORM_CHAMBER = "reform chamber"
    CLOSE_CONJUNCTIVA = "close conjunctiva"
    INJECT_STEROID = "inject steroid"
    MEASURE = "measure"
    TREPHINE = "trephine"
    EXCISE_BUTTON = "excise button"
    PLACE_GRAFT = "place graft"
    SUTURE_GRAFT = "suture graft"


@dataclass(frozen=True, kw_only=True, slots=True)
class Surgeon:
    """One person's habits, the same in all of that person's videos."""

    number: int
    experience: int
    """1 resident, 2 senior, as in Cataract-101's table."""
    tempo: float
    speech_scale: float
    handed: int
    """+1 right, -1 left: which side the main wound is on."""
    main_angle_degrees: float
    chattiness: float
    tremor: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing done with one or two instruments, over a span of the video."""

    verb: Verb
    instruments: tuple[Instrument, ...]
    target: Target
    medication: Medication | None = None
    complication: Complication | None = None
    start_seconds: float = 0.0
    end_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A labelled stretch: from its first action to the first action of the next phase, idle time included."""

    name: PhaseName
    start_seconds: float
    end_seconds: float
    actions: tuple[Action, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One sentence to be spoken while `verb` is on screen; an aside belongs to no action."""

    start_seconds: float
    text: str
    procedural: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One operation, complete."""

    procedure: Procedure
    technique: Technique | None
    finding: Finding | None
    surgeon: Surgeon
    site: Site
    phases: tuple[Phase, ...]
    lines: tuple[Line, ...]
    duration_seconds: float

    def actions(self) -> tuple[Action, ...]:
        return tuple(action for phase in self.phases for action in phase.actions)
