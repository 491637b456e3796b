"""What surgeons say over the actions of trabeculectomy and keratoplasty, in asides, and when something goes wrong."""

from __future__ import annotations

from ophclip.simulate.language import Complication, Procedure, Verb

OTHER_PHRASES: dict[Verb, tuple[str, ...]] = {
    Verb.WIPE: (
        "I dry the surface with the {tool} and look for a leak",
        "the wound is tested with the {tool} and it is watertight",
        "with the {tool} I wipe the ocular surface clean",
        "the {tool} takes up the fluid around the incision",
    ),
    Verb.OPEN_CONJUNCTIVA: (
        "I open the conjunctiva at the limbus with the {tool}",
        "a fornix based conjunctival flap is made with the {tool}",
        "the conjunctiva and Tenon's capsule are dissected with the {tool}",
        "with the {second} I hold the conjunctiva and cut it with the {tool}",
        "the peritomy is done with the {tool} and the sclera is exposed",
    ),
    Verb.CAUTERISE: (
        "I cauterize the bleeding episcleral vessels with the {tool}",
        "hemostasis of the sclera is obtained with the {tool}",
        "the scleral bed is treated lightly with the {tool}",
        "with the {tool} I close the small vessels on the sclera",
    ),
    Verb.DISSECT_FLAP: (
        "I dissect a partial thickness scleral flap with the {tool}",
        "the scleral flap is raised toward the limbus with the {tool}",
        "the {tool} splits the sclera in one plane into clear cornea",
        "holding the edge with the {second} I lift a rectangular scleral flap with the {tool}",
        "a half thickness scleral flap is fashioned using the {tool}",
    ),
    Verb.SOAK_MITOMYCIN: (
        "I place the {tool} soaked in {drug} under the conjunctiva",
        "{drug} is applied to the sclera on a {tool} for two minutes",
        "the {tool} with {drug} lies over the flap area against scarring",
        "with a {tool} I apply {drug} to reduce the fibrosis",
    ),
    Verb.EXCISE_BLOCK: (
        "I excise a block of trabecular tissue under the flap with the {tool}",
        "the sclerostomy is cut with the {tool}",
        "with the {tool} I make the opening into the anterior chamber under the flap",
        "the trabeculectomy window is completed with the {tool} and the {second}",
        "the {second} hold the deep block and the {tool} cut it out",
    ),
    Verb.CUT_IRIS: (
        "I do a peripheral iridectomy with the {tool}",
        "the iris is grasped with the {second} and cut with the {tool}",
        "a basal iridectomy is made with the {tool} through the sclerostomy",
        "with the {tool} I remove a small piece of peripheral iris",
    ),
    Verb.SUTURE_FLAP: (
        "I close the scleral flap with {suture} at both corners",
        "the scleral flap is sutured with {suture} and the {tool}",
        "with the {tool} I pass {suture} through the corner of the flap",
        "two interrupted stitches fix the scleral flap and control the outflow",
        "the {suture} is tied with the {tool} so that the flap filters slowly",
    ),
    Verb.REFORM_CHAMBER: (
        "I reform the anterior chamber with {drug} through the {tool}",
        "{drug} is injected with the {tool} and the chamber is deep again",
        "with the {tool} I wash the anterior chamber through the paracentesis",
        "the anterior chamber is irrigated and refilled using the {tool}",
    ),
    Verb.CLOSE_CONJUNCTIVA: (
        "I suture the conjunctiva back to the limbus with {suture}",
        "the conjunctiva is closed watertight with the {tool} and {suture}",
        "with the {tool} I anchor the conjunctival flap at the limbus",
        "wing sutures of {suture} close the conjunctiva over the flap and a bleb forms",
    ),
    Verb.INJECT_STEROID: (
        "I inject {drug} under the conjunctiva with the {tool}",
        "a subconjunctival injection of {drug} is given at the end",
        "with the {tool} {drug} is injected below the conjunctiva",
    ),
    Verb.MEASURE: (
        "I measure the cornea with the {tool} to choose the size of the graft",
        "the corneal diameter is measured with the {tool}",
        "with the {tool} I mark the center and the diameter for the trephine",
        "the {tool} shows a white to white of eleven millimeters",
    ),
    Verb.TREPHINE: (
        "I trephine the host cornea with the {tool}",
        "the {tool} is centered on the cornea and turned slowly",
        "with the {tool} I cut a circular groove into the recipient cornea",
        "the diseased cornea is trephined to partial depth with the {tool}",
        "turning the {tool} I make the circular cut in the host",
    ),
    Verb.EXCISE_BUTTON: (
        "I excise the corneal button with the {tool}",
        "the host button is cut out with the {tool} and lifted with the {second}",
        "with the {tool} I complete the cut around the recipient bed",
        "the cloudy cornea is removed with the {tool} and the eye is open",
        "the {second} hold the diseased button while the {tool} follow the groove",
    ),
    Verb.PLACE_GRAFT: (
        "I place the donor cornea on the recipient bed with the {tool}",
        "the donor graft is laid into the opening with the {tool}",
        "with the {tool} I bring the clear donor button onto the eye",
        "the graft is positioned and held with the {tool}",
    ),
    Verb.SUTURE_GRAFT: (
        "I suture the graft with interrupted {suture}",
        "a radial stitch of {suture} is passed with the {tool}",
        "with the {tool} I place the interrupted sutures around the donor cornea",
        "the {suture} goes through graft and host, and the knot is tied with the {tool}",
        "the corneal graft is fixed with interrupted {suture} held by the {tool}",
        "the {second} steady the edge of the graft while the needle passes",
    ),
}

COMPLICATION_PHRASES: dict[Complication, tuple[str, ...]] = {
    Complication.BLEEDING: (
        "there is a little bleeding here and I wait until it stops",
        "we have some bleeding at the wound, which is not a problem",
        "some blood runs over the surface and is rinsed away",
    ),
    Complication.IRIS_PROLAPSE: (
        "the iris comes toward the wound and I reposition it",
        "a small iris prolapse appears at the incision",
    ),
}

ASIDES = (
    "this patient is seventy two years old and lives alone",
    "please turn the light of the microscope down a little",
    "I learned this trick during my fellowship many years ago",
    "the other eye was done three weeks ago with a good result",
    "take your time here, there is no hurry at all",
    "good, that looks quite nice",
    "the patient is comfortable under topical anesthesia",
    "my assistant keeps the cornea wet all the time",
    "remember to leave a comment if you have a question",
    "in the clinic we see many patients like this one",
    "the visual acuity before surgery was twenty over eighty",
)

OPENINGS: dict[Procedure, tuple[str, ...]] = {
    Procedure.PHACO: ("welcome, this is a routine cataract", "hello everyone, a cataract today"),
    Procedure.TRABECULECTOMY: ("hello, a glaucoma case today", "welcome, this is a trabeculectomy"),
    Procedure.KERATOPLASTY: ("hello, a corneal transplant today", "welcome, this is a keratoplasty"),
}
