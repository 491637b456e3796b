"""The world's actions and instruments under the names of each dataset; what is named nowhere the world does not show.

Names are those of the dataset's reader, or the owner's own where the reader translates them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ophclip.simulate.language import Instrument as Tool
from ophclip.simulate.language import PhaseName as Phase
from ophclip.simulate.language import Verb

Verbs = Mapping[str, tuple[Verb, ...]]

_INCISION = (Verb.CUT_SIDE_PORT, Verb.CUT_MAIN_WOUND)
_VISCOELASTIC = (Verb.FILL_CHAMBER, Verb.FILL_BAG)
_RHEXIS = (Verb.PUNCTURE_CAPSULE, Verb.TEAR_CAPSULE)
_HYDRODISSECTION = (Verb.HYDRODISSECT, Verb.ROTATE_NUCLEUS)


def by_verb(verbs: Verbs) -> dict[Verb, str]:
    """The label of every action that has one."""
    return {verb: label for label, group in verbs.items() for verb in group}


CAT21 = {
    Phase.INCISION: "Incision",
    Phase.VISCOUS_INJECTION: "Viscoelasticum",
    Phase.RHEXIS: "Rhexis",
    Phase.HYDRODISSECTION: "Hydrodissektion",
    Phase.PHACOEMULSIFICATION: "Phako",
    Phase.IRRIGATION_ASPIRATION: "Irrigation-Aspiration",
    Phase.CAPSULE_POLISHING: "Kapselpolishing",
    Phase.LENS_IMPLANT: "Linsenimplantation",
    Phase.VISCOUS_REMOVAL: "Visco-Absaugung",
    Phase.TONIFYING: "Tonisieren",
}
"""The owner's German; giving antibiotic, a part of tonifying here, is "Antibiotikum" there."""

CATARACT1K: Verbs = {
    "Incision": _INCISION,
    "Viscoelastic": _VISCOELASTIC,
    "Capsulorhexis": _RHEXIS,
    "Hydrodissection": _HYDRODISSECTION,
    "Phacoemulsification": (Verb.SCULPT, Verb.CRACK, Verb.REMOVE_FRAGMENTS),
    "Irrigation/Aspiration": (Verb.ASPIRATE_CORTEX,),
    "Capsule polishing": (Verb.POLISH,),
    "Lens implantation": (Verb.INJECT_LENS,),
    "Lens positioning": (Verb.DIAL_LENS,),
    "Viscoelastic suction": (Verb.ASPIRATE_VISCOELASTIC,),
    "Tonifying/Antibiotics": (Verb.HYDRATE, Verb.GIVE_ANTIBIOTIC),
}
"""Staining the capsule and wiping are idle time there; the anterior chamber is never flushed here."""

CATARACTS: Verbs = {
    "Incision": _INCISION,
    "Viscodilatation": _VISCOELASTIC,
    "Capsulorhexis": _RHEXIS,
    "Hydrodissection": _HYDRODISSECTION,
    "Nucleus Breaking": (Verb.CRACK,),
    "Phacoemulsification": (Verb.SCULPT, Verb.REMOVE_FRAGMENTS),
    "Irrigation/Aspiration": (Verb.ASPIRATE_CORTEX, Verb.POLISH),
    "Implantation": (Verb.INJECT_LENS,),
    "Positioning": (Verb.DIAL_LENS,),
    "OVD Aspiration": (Verb.ASPIRATE_VISCOELASTIC,),
    "Sealing Control": (Verb.WIPE,),
    "Wound Hydratation": (Verb.HYDRATE,),
}
"""Everything else is "Idle"."""

CATRELDET: Verbs = {
    "Implantation": (Verb.INJECT_LENS,),
    "Irrigation/Aspiration and viscoelastic suction": (Verb.ASPIRATE_CORTEX, Verb.POLISH, Verb.ASPIRATE_VISCOELASTIC),
    "Phacoemulsification": (Verb.SCULPT, Verb.CRACK, Verb.REMOVE_FRAGMENTS),
    "Rhexis": _RHEXIS,
}
LENSID: Verbs = {"Lens implantation": (Verb.INJECT_LENS,)}

CHOLEC80: Verbs = {"Cleaning and coagulation": (Verb.CAUTERISE, Verb.WIPE)}
AUTOLAPARO: Verbs = {
    "Suturing": (Verb.SUTURE_FLAP, Verb.SUTURE_GRAFT, Verb.CLOSE_CONJUNCTIVA),
    "Washing": (Verb.REFORM_CHAMBER,),
}
"""No abdomen is shown: these are what operations of the eye have by the same name, and "Preparation" before them."""

_CATARACTS_TOOLS = {
    Tool.VISCOELASTIC_CANNULA: "Viscoelastic cannula",
    Tool.CYSTOTOME: "Capsulorhexis cystotome",
    Tool.CAPSULORHEXIS_FORCEPS: "Capsulorhexis forceps",
    Tool.HYDRODISSECTION_CANNULA: "Hydrodissection cannula",
    Tool.PHACO_HANDPIECE: "Phacoemulsifier handpiece",
    Tool.CHOPPER: "Micromanipulator",
    Tool.SINSKEY_HOOK: "Micromanipulator",
    Tool.IRRIGATION_ASPIRATION: "I/A handpiece",
    Tool.RYCROFT_CANNULA: "Rycroft cannula",
}
"""What the three datasets made of the CATARACTS videos call alike; a hook that turns the lens is a micromanipulator."""

CATARACTS_TOOLS = _CATARACTS_TOOLS | {
    Tool.KERATOME: "Primary incision knife",
    Tool.SIDE_PORT_KNIFE: "Secondary incision knife",
    Tool.LENS_INJECTOR: "Implant injector",
    Tool.SPONGE: "Cotton",
}
INSEGCAT = _CATARACTS_TOOLS | {
    Tool.KERATOME: "Primary knife",
    Tool.SIDE_PORT_KNIFE: "Secondary knife",
    Tool.LENS_INJECTOR: "Lens injector",
}
CADIS = INSEGCAT | {Tool.SPONGE: "Cotton"}
"""Handles are not told from tips here: a raw class "... Handle" is never shown."""

CATINSTSEG = {
    Tool.KERATOME: "Slit knife",
    Tool.SIDE_PORT_KNIFE: "Angled incision knife",
    Tool.HYDRODISSECTION_CANNULA: "27 gauge cannula",
    Tool.CAPSULORHEXIS_FORCEPS: "Capsulorhexis forceps",
    Tool.VISCOELASTIC_CANNULA: "Cannula",
    Tool.RYCROFT_CANNULA: "Cannula",
    Tool.PHACO_HANDPIECE: "Phaco tip",
    Tool.IRRIGATION_ASPIRATION: "I/A handpiece",
    Tool.LENS_INJECTOR: "Cartridge",
}
CATARACT1K_TOOLS = {
    Tool.KERATOME: "Slit Knife",
    Tool.SIDE_PORT_KNIFE: "Incision Knife",
    Tool.VISCOELASTIC_CANNULA: "Gauge",
    Tool.HYDRODISSECTION_CANNULA: "Gauge",
    Tool.RYCROFT_CANNULA: "Gauge",
    Tool.CYSTOTOME: "Capsulorhexis Cystotome",
    Tool.CAPSULORHEXIS_FORCEPS: "Capsulorhexis Forceps",
    Tool.PHACO_HANDPIECE: "Phacoemulsification Tip",
    Tool.IRRIGATION_ASPIRATION: "Irrigation-Aspiration",
    Tool.LENS_INJECTOR: "Lens Injector",
}
