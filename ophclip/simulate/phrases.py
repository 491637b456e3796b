"""What surgeons say over each action of cataract surgery, and the names that they give to things.

`{tool}` and `{second}` stand for the action's instruments, `{drug}` for its medication.
"""

from __future__ import annotations

from ophclip.simulate.language import Instrument as Tool
from ophclip.simulate.language import Medication, Verb

SYNONYMS: dict[Tool, tuple[str, ...]] = {
    Tool.KERATOME: ("keratome", "slit knife", "two point four millimeter keratome", "keratome blade"),
    Tool.SIDE_PORT_KNIFE: ("side port knife", "fifteen degree blade", "paracentesis knife", "side port blade"),
    Tool.VISCOELASTIC_CANNULA: ("viscoelastic cannula", "viscoelastic syringe", "viscoelastic cannula"),
    Tool.CYSTOTOME: ("cystotome", "bent needle cystotome", "cystotome needle"),
    Tool.CAPSULORHEXIS_FORCEPS: ("capsulorhexis forceps", "rhexis forceps", "Utrata forceps"),
    Tool.HYDRODISSECTION_CANNULA: (
        "hydrodissection cannula",
        "twenty seven gauge cannula",
        "flat hydrodissection cannula",
    ),
    Tool.PHACO_HANDPIECE: ("phaco handpiece", "phaco tip", "phaco probe", "phacoemulsification probe"),
    Tool.CHOPPER: ("chopper", "second instrument", "nucleus chopper"),
    Tool.IRRIGATION_ASPIRATION: (
        "irrigation and aspiration handpiece",
        "I A handpiece",
        "irrigation aspiration tip",
        "aspiration handpiece",
    ),
    Tool.LENS_INJECTOR: ("lens injector", "injector cartridge", "lens injector", "implant injector"),
    Tool.SINSKEY_HOOK: ("Sinskey hook", "lens hook", "dialing hook", "lens manipulator"),
    Tool.RYCROFT_CANNULA: ("Rycroft cannula", "irrigating cannula", "saline cannula", "blunt cannula"),
    Tool.NEEDLE_HOLDER: ("needle holder", "micro needle holder", "needle driver"),
    Tool.SUTURE_NEEDLE: ("ten zero nylon", "nylon sutures", "ten zero nylon sutures", "fine nylon"),
    Tool.TOOTHED_FORCEPS: ("toothed forceps", "fine toothed forceps", "Bonn forceps"),
    Tool.VANNAS_SCISSORS: ("Vannas scissors", "fine scissors", "spring scissors"),
    Tool.CRESCENT_KNIFE: ("crescent knife", "crescent blade", "angled crescent knife"),
    Tool.CAUTERY: ("bipolar cautery", "wet field cautery", "diathermy tip", "cautery"),
    Tool.SPONGE: ("sponge", "surgical spear", "cellulose sponge", "spear sponge"),
    Tool.TREPHINE: ("trephine", "vacuum trephine", "corneal trephine"),
    Tool.CALIPER: ("caliper", "calipers", "corneal caliper"),
}

DRUGS: dict[Medication, tuple[str, ...]] = {
    Medication.VISCOELASTIC: ("viscoelastic", "cohesive viscoelastic", "sodium hyaluronate", "dispersive viscoelastic"),
    Medication.TRYPAN_BLUE: ("trypan blue", "blue dye", "trypan blue dye"),
    Medication.SALINE: ("balanced salt solution", "balanced salt", "fluid"),
    Medication.CEFUROXIME: ("cefuroxime", "intracameral antibiotic", "intracameral cefuroxime"),
    Medication.MITOMYCIN: ("mitomycin C", "mitomycin"),
    Medication.DEXAMETHASONE: ("dexamethasone", "steroid", "steroid and antibiotic"),
}

OPENERS = ("now", "next", "then", "here", "after that", "at this point", "so", "", "", "", "", "")

CATARACT_PHRASES: dict[Verb, tuple[str, ...]] = {
    Verb.CUT_SIDE_PORT: (
        "I make a paracentesis at the limbus with the {tool}",
        "the side port is created with the {tool}",
        "with the {tool} I open a small side port in the clear cornea",
        "a paracentesis is made with the {tool} for the second instrument",
        "I place a stab incision with the {tool} for my left hand",
        "I use the {tool} to make the side port incision",
    ),
    Verb.CUT_MAIN_WOUND: (
        "I make the clear corneal incision with the {tool}",
        "the main incision is constructed with the {tool} in the clear cornea",
        "the {tool} enters the anterior chamber to make the main wound",
        "with the {tool} I create a self sealing corneal tunnel",
        "a temporal clear corneal wound is made using the {tool}",
        "I advance the {tool} through the cornea for the primary incision",
        "we see the blade of the {tool} cutting the main corneal incision",
    ),
    Verb.STAIN_CAPSULE: (
        "I stain the anterior capsule with {drug} through the {tool}",
        "the capsule is painted with {drug} because there is no red reflex",
        "{drug} is injected with the {tool} to see the anterior capsule",
        "with the {tool} I put {drug} on the capsule of this white cataract",
    ),
    Verb.FILL_CHAMBER: (
        "I fill the anterior chamber with {drug} through the {tool}",
        "the anterior chamber is filled with {drug}",
        "{drug} is injected with the {tool} to deepen the chamber",
        "with the {tool} I inject {drug} to protect the endothelium",
        "I exchange the aqueous for {drug} using the {tool}",
        "the {tool} fills the anterior chamber and keeps it deep and stable",
    ),
    Verb.PUNCTURE_CAPSULE: (
        "I puncture the anterior capsule with the {tool}",
        "the capsulorhexis is started with the {tool}",
        "the {tool} opens the center of the anterior capsule",
        "with the {tool} I make the first tear and lift a capsular flap",
        "a small flap of the anterior capsule is raised with the {tool}",
    ),
    Verb.TEAR_CAPSULE: (
        "I complete the continuous curvilinear capsulorhexis with the {tool}",
        "the capsular flap is grasped with the {tool} and torn in a circle",
        "with the {tool} I tear a round capsulorhexis of five millimeters",
        "the {tool} hold the flap and the rhexis is carried around",
        "I regrasp the flap with the {tool} and lead the tear around the circle",
        "the anterior capsule is peeled with the {tool} to finish the rhexis",
    ),
    Verb.HYDRODISSECT: (
        "I do the hydrodissection with the {tool} under the capsular edge",
        "{drug} is injected under the anterior capsule with the {tool}",
        "the {tool} goes under the rhexis and a fluid wave passes behind the nucleus",
        "with the {tool} I separate the cortex from the capsule",
        "hydrodissection is performed with the {tool} and you see the fluid wave",
        "I loosen the nucleus by hydrodissection with the {tool}",
    ),
    Verb.ROTATE_NUCLEUS: (
        "I rotate the nucleus with the {tool} to be sure that it is free",
        "the nucleus turns freely in the bag when I push it with the {tool}",
        "the lens is rotated with the {tool} after hydrodissection",
    ),
    Verb.SCULPT: (
        "I sculpt a deep groove in the nucleus with the {tool}",
        "the {tool} sculpts a central groove in the lens",
        "with the {tool} the nucleus is grooved in a cross",
        "a trench is sculpted in the nucleus using the {tool}",
        "I use ultrasound with the {tool} to carve the grooves in the nucleus",
    ),
    Verb.CRACK: (
        "I crack the nucleus into quadrants with the {tool} and the {second}",
        "the nucleus is divided with the {second} and the {tool}",
        "the {second} splits the nucleus against the {tool}",
        "with the {second} in my left hand I break the nucleus into pieces",
        "I chop the nucleus with the {second} while the {tool} holds it",
    ),
    Verb.REMOVE_FRAGMENTS: (
        "I emulsify the nuclear fragments with the {tool}",
        "the quadrants are aspirated and emulsified by the {tool}",
        "each piece of the nucleus is fed to the {tool} with the {second}",
        "the {tool} removes the remaining quadrants one after the other",
        "the last fragments are eaten by the {tool} in the middle of the pupil",
        "phacoemulsification of the fragments goes on with the {tool} and the {second}",
    ),
    Verb.ASPIRATE_CORTEX: (
        "I remove the remaining cortex with the {tool}",
        "the cortex is stripped from the bag with the {tool}",
        "the {tool} aspirates the cortical material around the bag",
        "cortical clean up is done with the {tool}",
        "with the {tool} I peel the soft cortex toward the center",
        "I go to irrigation and aspiration and clean the cortex from the capsular bag",
    ),
    Verb.POLISH: (
        "I polish the posterior capsule with the {tool}",
        "the posterior capsule is polished at low vacuum with the {tool}",
        "the {tool} gently cleans the back of the capsular bag",
        "with the {tool} I polish away the last fibers on the posterior capsule",
        "capsule polishing is done with the {tool} to keep the bag clear",
    ),
    Verb.FILL_BAG: (
        "I fill the capsular bag with {drug} before the implant",
        "the bag is inflated with {drug} through the {tool}",
        "{drug} is injected into the empty bag with the {tool}",
        "with the {tool} I open the capsular bag with {drug} for the lens",
    ),
    Verb.INJECT_LENS: (
        "I implant the foldable intraocular lens with the {tool}",
        "the intraocular lens is injected into the bag with the {tool}",
        "the {tool} enters the wound and the lens unfolds in the capsular bag",
        "with the {tool} the acrylic lens is delivered into the bag",
        "the folded implant leaves the {tool} and opens slowly behind the rhexis",
    ),
    Verb.DIAL_LENS: (
        "I dial the lens into position with the {tool}",
        "the lens is rotated and centered with the {tool}",
        "with the {tool} I tuck the trailing haptic into the capsular bag",
        "the {tool} turns the intraocular lens until it is well centered",
    ),
    Verb.ASPIRATE_VISCOELASTIC: (
        "I remove the viscoelastic from behind the lens with the {tool}",
        "the viscoelastic is washed out with the {tool}",
        "the {tool} aspirates all viscoelastic from the bag and the chamber",
        "with the {tool} I rock the lens and take out the remaining viscoelastic",
        "viscoelastic removal is done with the {tool} over and under the implant",
    ),
    Verb.HYDRATE: (
        "I hydrate the wound with {drug} through the {tool}",
        "the corneal stroma is hydrated with the {tool} to seal the incision",
        "with the {tool} I hydrate both incisions and check the pressure",
        "stromal hydration is done with {drug} and the eye becomes firm",
        "the {tool} hydrates the edges of the incision until it is watertight",
    ),
    Verb.GIVE_ANTIBIOTIC: (
        "I inject {drug} into the anterior chamber with the {tool}",
        "{drug} is given into the chamber at the end",
        "with the {tool} I give {drug} to prevent endophthalmitis",
        "finally {drug} is placed in the eye through the {tool}",
    ),
}
