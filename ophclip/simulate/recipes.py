"""The three operations as data: which phases, which actions, with what, how long, and how often left out."""

from __future__ import annotations

from dataclasses import dataclass

from ophclip.simulate.language import Finding, Instrument, Medication, PhaseName, Procedure, Target, Technique, Verb

T, M, V, P = Target, Medication, Verb, PhaseName
Tool = Instrument


@dataclass(frozen=True, slots=True)
class Step:
    """An action before it has a time: `seconds` is its usual span, `chance` how often it is done at all."""

    verb: Verb
    seconds: tuple[float, float]
    instruments: tuple[Instrument, ...]
    target: Target
    medication: Medication | None = None
    chance: float = 1.0
    technique: Technique | None = None
    finding: Finding | None = None
    """Done only with this technique or this finding."""


@dataclass(frozen=True, slots=True)
class Stage:
    name: PhaseName
    steps: tuple[Step, ...]
    chance: float = 1.0


SCULPTING = Technique.DIVIDE_AND_CONQUER

CATARACT = (
    Stage(
        P.INCISION,
        (
            Step(V.CUT_SIDE_PORT, (3.5, 4.5), (Tool.SIDE_PORT_KNIFE,), T.LIMBUS),
            Step(V.CUT_MAIN_WOUND, (4, 5.5), (Tool.KERATOME,), T.CORNEA),
        ),
    ),
    Stage(
        P.VISCOUS_INJECTION,
        (
            Step(V.STAIN_CAPSULE, (4, 5), (Tool.RYCROFT_CANNULA,), T.ANTERIOR_CAPSULE, M.TRYPAN_BLUE,
                 finding=Finding.WHITE_CATARACT),
            Step(V.FILL_CHAMBER, (4.5, 6), (Tool.VISCOELASTIC_CANNULA,), T.ANTERIOR_CHAMBER, M.VISCOELASTIC),
        ),
    ),
    Stage(
        P.RHEXIS,
        (
            Step(V.PUNCTURE_CAPSULE, (3.5, 4.5), (Tool.CYSTOTOME,), T.ANTERIOR_CAPSULE),
            Step(V.TEAR_CAPSULE, (6, 8), (Tool.CAPSULORHEXIS_FORCEPS,), T.ANTERIOR_CAPSULE),
        ),
    ),
    Stage(P.VISCOUS_INJECTION,
          (Step(V.FILL_CHAMBER, (3.5, 4.5), (Tool.VISCOELASTIC_CANNULA,), T.ANTERIOR_CHAMBER, M.VISCOELASTIC),), 0.12),
    Stage(
        P.HYDRODISSECTION,
        (
            Step(V.HYDRODISSECT, (5, 6.5), (Tool.HYDRODISSECTION_CANNULA,), T.CORTEX, M.SALINE),
            Step(V.ROTATE_NUCLEUS, (3.5, 4.5), (Tool.HYDRODISSECTION_CANNULA,), T.NUCLEUS, chance=0.4),
        ),
    ),
    Stage(
        P.PHACOEMULSIFICATION,
        (
            Step(V.SCULPT, (6, 8), (Tool.PHACO_HANDPIECE,), T.NUCLEUS, technique=SCULPTING),
            Step(V.CRACK, (4.5, 5.5), (Tool.PHACO_HANDPIECE, Tool.CHOPPER), T.NUCLEUS),
            Step(V.REMOVE_FRAGMENTS, (7, 9), (Tool.PHACO_HANDPIECE, Tool.CHOPPER), T.NUCLEUS),
        ),
    ),
    Stage(P.IRRIGATION_ASPIRATION,
          (Step(V.ASPIRATE_CORTEX, (7, 9), (Tool.IRRIGATION_ASPIRATION,), T.CORTEX),)),
    Stage(P.CAPSULE_POLISHING,
          (Step(V.POLISH, (5, 6.5), (Tool.IRRIGATION_ASPIRATION,), T.POSTERIOR_CAPSULE),), 0.8),
    Stage(
        P.LENS_IMPLANT,
        (
            Step(V.FILL_BAG, (4, 5), (Tool.VISCOELASTIC_CANNULA,), T.CAPSULAR_BAG, M.VISCOELASTIC),
            Step(V.INJECT_LENS, (6, 7.5), (Tool.LENS_INJECTOR,), T.LENS),
            Step(V.DIAL_LENS, (4, 5), (Tool.SINSKEY_HOOK,), T.LENS, chance=0.75),
        ),
    ),
    Stage(P.VISCOUS_REMOVAL,
          (Step(V.ASPIRATE_VISCOELASTIC, (5.5, 7), (Tool.IRRIGATION_ASPIRATION,), T.CAPSULAR_BAG, M.VISCOELASTIC),)),
    Stage(
        P.TONIFYING,
        (
            Step(V.HYDRATE, (4.5, 5.5), (Tool.RYCROFT_CANNULA,), T.WOUND, M.SALINE),
            Step(V.GIVE_ANTIBIOTIC, (3.5, 4.5), (Tool.RYCROFT_CANNULA,), T.ANTERIOR_CHAMBER, M.CEFUROXIME, chance=0.8),
            Step(V.WIPE, (3.5, 4.5), (Tool.SPONGE,), T.WOUND, chance=0.45),
        ),
    ),
)  # fmt: skip

SUTURING = (Tool.NEEDLE_HOLDER, Tool.SUTURE_NEEDLE, Tool.TOOTHED_FORCEPS)

TRABECULECTOMY = (
    Stage(P.CONJUNCTIVAL_INCISION,
          (Step(V.OPEN_CONJUNCTIVA, (7, 9), (Tool.VANNAS_SCISSORS, Tool.TOOTHED_FORCEPS), T.CONJUNCTIVA),)),
    Stage(P.SCLERAL_HEMOSTASIS, (Step(V.CAUTERISE, (5.5, 7), (Tool.CAUTERY,), T.SCLERA),), 0.85),
    Stage(P.SCLERAL_FLAP,
          (Step(V.DISSECT_FLAP, (9, 11), (Tool.CRESCENT_KNIFE, Tool.TOOTHED_FORCEPS), T.SCLERAL_FLAP),)),
    Stage(P.ANTIMETABOLITE,
          (Step(V.SOAK_MITOMYCIN, (7, 9), (Tool.SPONGE,), T.SCLERA, M.MITOMYCIN, technique=Technique.MITOMYCIN),)),
    Stage(P.TRABECULECTOMY,
          (Step(V.EXCISE_BLOCK, (6.5, 8), (Tool.VANNAS_SCISSORS, Tool.TOOTHED_FORCEPS), T.SCLEROSTOMY),)),
    Stage(P.IRIDECTOMY, (Step(V.CUT_IRIS, (5, 6.5), (Tool.VANNAS_SCISSORS, Tool.TOOTHED_FORCEPS), T.IRIS),), 0.9),
    Stage(P.FLAP_SUTURING, (Step(V.SUTURE_FLAP, (10, 12), SUTURING, T.SCLERAL_FLAP),)),
    Stage(P.CHAMBER_WASHING,
          (Step(V.REFORM_CHAMBER, (5, 6.5), (Tool.RYCROFT_CANNULA,), T.ANTERIOR_CHAMBER, M.SALINE),), 0.9),
    Stage(P.INCISION_CLOSURE, (Step(V.CLOSE_CONJUNCTIVA, (8, 10), SUTURING, T.CONJUNCTIVA),)),
    Stage(P.SUBCONJUNCTIVAL_INJECTION,
          (Step(V.INJECT_STEROID, (4.5, 5.5), (Tool.RYCROFT_CANNULA,), T.CONJUNCTIVA, M.DEXAMETHASONE),), 0.5),
)  # fmt: skip

KERATOPLASTY = (
    Stage(P.CORNEAL_MEASUREMENT, (Step(V.MEASURE, (5, 6.5), (Tool.CALIPER,), T.CORNEA),)),
    Stage(
        P.RECIPIENT_BED,
        (
            Step(V.TREPHINE, (7, 9), (Tool.TREPHINE,), T.CORNEA),
            Step(V.EXCISE_BUTTON, (8, 10), (Tool.VANNAS_SCISSORS, Tool.TOOTHED_FORCEPS), T.CORNEA),
        ),
    ),
    Stage(P.VISCOELASTIC_INJECTION,
          (Step(V.FILL_CHAMBER, (5, 6), (Tool.VISCOELASTIC_CANNULA,), T.ANTERIOR_CHAMBER, M.VISCOELASTIC),)),
    Stage(
        P.GRAFT_SUTURING,
        (
            Step(V.PLACE_GRAFT, (5.5, 7), (Tool.TOOTHED_FORCEPS,), T.GRAFT),
            Step(V.SUTURE_GRAFT, (8, 10), SUTURING, T.GRAFT),
            Step(V.SUTURE_GRAFT, (8, 10), SUTURING, T.GRAFT),
        ),
    ),
    Stage(P.SWAB_WIPING, (Step(V.WIPE, (4.5, 5.5), (Tool.SPONGE,), T.GRAFT),), 0.6),
    Stage(P.GRAFT_SUTURING, (Step(V.SUTURE_GRAFT, (6, 8), SUTURING, T.GRAFT),), 0.6),
    Stage(P.CHAMBER_WASHING,
          (Step(V.REFORM_CHAMBER, (5, 6.5), (Tool.RYCROFT_CANNULA,), T.ANTERIOR_CHAMBER, M.SALINE),)),
    Stage(P.SUBCONJUNCTIVAL_INJECTION,
          (Step(V.INJECT_STEROID, (4.5, 5.5), (Tool.RYCROFT_CANNULA,), T.CONJUNCTIVA, M.DEXAMETHASONE),), 0.5),
)  # fmt: skip

RECIPES: dict[Procedure, tuple[Stage, ...]] = {
    Procedure.PHACO: CATARACT,
    Procedure.TRABECULECTOMY: TRABECULECTOMY,
    Procedure.KERATOPLASTY: KERATOPLASTY,
}

TECHNIQUES: dict[Procedure, tuple[tuple[Technique | None, float], ...]] = {
    Procedure.PHACO: ((Technique.DIVIDE_AND_CONQUER, 0.6), (Technique.PHACO_CHOP, 0.4)),
    Procedure.TRABECULECTOMY: ((Technique.MITOMYCIN, 0.75), (None, 0.25)),
    Procedure.KERATOPLASTY: ((Technique.INTERRUPTED_SUTURES, 1.0),),
}

FINDINGS: dict[Procedure, tuple[tuple[Finding | None, float], ...]] = {
    Procedure.PHACO: ((None, 0.5), (Finding.WHITE_CATARACT, 0.15), (Finding.BRUNESCENT_CATARACT, 0.2),
                      (Finding.SMALL_PUPIL, 0.15)),
    Procedure.TRABECULECTOMY: ((Finding.OPEN_ANGLE_GLAUCOMA, 0.6), (None, 0.4)),
    Procedure.KERATOPLASTY: ((Finding.CORNEAL_SCAR, 0.5), (Finding.BULLOUS_KERATOPATHY, 0.5)),
}  # fmt: skip
